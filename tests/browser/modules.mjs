/** The page modules, importable by every node that can run these tests (older ones take `.js` for CommonJS without a package.json). */

import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const folder = mkdtempSync(join(tmpdir(), 'mixdown-web-'));
cpSync(new URL('../../web/', import.meta.url), folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{"type":"module"}');

/** @param {string} name - file in web/ */
export const load = (name) => import(pathToFileURL(join(folder, name)));
