/**
 * The frame of `/admin` and `/recordings`: one page, with what the path asks for in it.
 *
 * @module
 */

await import(location.pathname.startsWith('/recordings') ? './recordings.js' : './admin.js');
