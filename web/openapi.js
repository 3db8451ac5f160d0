/**
 * OpenAPI 3.1 for people: operations by tag, schemas as rows, examples, curl. No document, no drawing.
 *
 * @module
 */

const METHODS = ['get', 'put', 'post', 'patch', 'delete'];

/** What `$ref` leads to; other values as they are. @param {any} document @param {any} value @returns {any} */
export function follow(document, value) {
  let found = value;
  for (let hops = 0; found?.$ref && hops < 16; hops += 1) {
    found = found.$ref.replace(/^#\//, '').split('/').reduce((at, key) => at?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
  }
  return found ?? {};
}

/** The name behind a reference. @param {any} value */
export const refName = (value) => value?.$ref?.split('/').at(-1) ?? null;

/**
 * All operations, by tag, in the order of the document.
 *
 * @param {any} document
 * @returns {Map<string, {id: string, method: string, path: string, operation: any}[]>}
 */
export function operations(document) {
  const tags = new Map();
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of METHODS.filter((each) => item[each])) {
      const operation = item[method];
      const tag = operation.tags?.[0] ?? 'others';
      const id = `${method}${path}`.replaceAll(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '');
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push({ id, method: method.toUpperCase(), path, operation });
    }
  }
  return tags;
}

/** The type of a schema in a few words. @param {any} document @param {any} schema @returns {string} */
export function typeName(document, schema) {
  if (!schema || schema === true) return 'anything';
  const name = refName(schema);
  const inner = follow(document, schema);
  if (inner.enum) return inner.enum.map((value) => JSON.stringify(value)).join(' | ');
  const choices = inner.oneOf ?? inner.anyOf;
  if (name && (inner.properties || choices || inner.allOf)) return name;
  if (choices) return choices.filter(({ type }) => type !== 'null').map((choice) => typeName(document, choice)).join(' or ');
  if (inner.allOf) return inner.allOf.map((part) => typeName(document, part)).join(' and ');
  const types = [inner.type ?? (inner.properties ? 'object' : 'anything')].flat().filter((type) => type !== 'null');
  return types.map((type) => (type === 'array' ? `list of ${typeName(document, inner.items)}` : type)).join(' or ');
}

/**
 * The fields of an object, one row each.
 *
 * @param {any} document
 * @param {any} schema
 * @returns {{name: string, type: string, required: boolean, nullable: boolean, text: string, ref: string | null}[]}
 */
export function rows(document, schema) {
  const object = follow(document, schema);
  const own = Object.entries(object.properties ?? {}).map(([name, property]) => ({
    name,
    type: typeName(document, property),
    required: (object.required ?? []).includes(name),
    nullable: isNullable(property),
    text: property.description ?? follow(document, property).description ?? '',
    ref: linked(document, property),
  }));
  return [...(object.allOf ?? []).flatMap((part) => rows(document, part)), ...own];
}

function isNullable(schema) {
  return [schema.type ?? []].flat().includes('null') || (schema.oneOf ?? schema.anyOf ?? []).some(({ type }) => type === 'null');
}

/** The schema with fields of its own that a property leads to. */
function linked(document, property) {
  const inner = property.items ?? (property.oneOf ?? property.anyOf ?? []).find(({ $ref }) => $ref) ?? property;
  const name = refName(inner.items ?? inner);
  return name && Object.keys(follow(document, inner.items ?? inner).properties ?? {}).length > 0 ? name : null;
}

/** A value that the schema describes. @param {any} document @param {any} schema @param {number} [depth] @returns {any} */
export function example(document, schema, depth = 0) {
  const inner = follow(document, schema);
  if (inner.example !== undefined) return inner.example;
  if (inner.default !== undefined && inner.default !== null) return inner.default;
  if (inner.enum) return inner.enum[0];
  const choice = (inner.oneOf ?? inner.anyOf)?.find(({ type }) => type !== 'null');
  if (choice) return example(document, choice, depth);
  if (inner.properties || inner.allOf) return depth > 4 ? {} : object(document, inner, depth);
  const type = [inner.type ?? 'any'].flat().find((each) => each !== 'null');
  if (type === 'array') return depth > 4 ? [] : [example(document, inner.items ?? {}, depth + 1)];
  return { string: '…', integer: inner.minimum ?? 0, number: inner.minimum ?? 0, boolean: false }[type] ?? {};
}

function object(document, schema, depth) {
  const parts = (schema.allOf ?? []).map((part) => example(document, part, depth + 1));
  const own = Object.entries(schema.properties ?? {}).map(([name, property]) => [name, example(document, property, depth + 1)]);
  return Object.assign({}, ...parts, Object.fromEntries(own));
}

/** Content types and schema of a body. @param {any} document @param {any} body */
export function content(document, body) {
  return Object.entries(follow(document, body).content ?? {}).map(([type, { schema }]) => ({ type, schema }));
}

/** Quotes for a POSIX shell. @param {string} text */
export function quoted(text) {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Values for the parameters of paths, so that examples can be tried. */
const SAMPLES = { room: 'standup', view: 'main', id: 'pt_…', code: 'busy', webhook: 'crm', delivery: 'msg_…', name: 'stage' };

/**
 * How to call an operation with curl.
 *
 * @param {any} document
 * @param {{method: string, path: string, operation: any}} which
 * @param {string} origin
 */
export function curl(document, { method, path, operation }, origin) {
  const url = origin + path.replaceAll(/\{\*?(\w+)\}/g, (_, name) => SAMPLES[name] ?? name);
  const words = ['curl'];
  const [body] = content(document, operation.requestBody ?? {});
  const answer = Object.keys(operation.responses ?? {}).find((status) => status.startsWith('2'));
  const [answered] = content(document, operation.responses?.[answer] ?? {});
  if (answered?.type === 'text/event-stream') words.push('-N');
  if (/^image\//.test(answered?.type ?? '')) words.push('-O');
  if (method !== 'GET') words.push('-X', method);
  words.push(quoted(url));
  if (operation.security?.length) words.push('-H', '"Authorization: Bearer $TOKEN"');
  if (body) {
    words.push('-H', quoted(`Content-Type: ${body.type}`));
    if (body.type.includes('json')) words.push('-d', quoted(JSON.stringify(example(document, body.schema))));
    else words.push('--data-binary', body.type === 'application/sdp' ? '@offer.sdp' : '@-');
  }
  return words.join(' ');
}
