/**
 * The API's documentation, drawn from `/openapi.json`.
 *
 * @module
 */

import { content, curl, example, follow, operations, rows, typeName } from './openapi.js';
import { announce, el, table } from './ui.js';

const main = document.getElementById('main');
const contents = document.getElementById('contents');
const find = document.getElementById('find');

/** Text in which `code` is marked. */
function prose(text) {
  return (text ?? '').split('`').map((part, index) => (index % 2 ? el('code', {}, part) : part));
}

function copyable(text) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    announce('Copied');
  };
  return el('div', { class: 'code' }, el('pre', { tabIndex: 0 }, text), el('button', { type: 'button', class: 'quiet', 'aria-label': 'Copy', onclick: copy }, 'Copy'));
}

function fields(document_, schema) {
  const all = rows(document_, schema);
  if (all.length === 0) return null;
  const body = all.map(({ name, type, required, nullable, text, ref }) => {
    const kind = ref ? el('a', { href: `#schema-${ref}` }, type) : type;
    const notes = [required && 'required', nullable && 'may be null'].filter(Boolean).join(', ');
    return el('tr', {}, el('th', { scope: 'row' }, el('code', {}, name)), el('td', {}, kind), el('td', {}, notes && el('span', { class: 'soft' }, `${notes}. `), ...prose(text)));
  });
  return table(['Field', 'Type', ''], el('tbody', {}, ...body), { class: 'fields-table' });
}

function parameters(document_, list) {
  if (!list?.length) return null;
  const body = list.map((each) => {
    const { name, in: place, required, schema, description } = follow(document_, each);
    const notes = `${place}${required ? ', required' : ''}. `;
    return el('tr', {}, el('th', { scope: 'row' }, el('code', {}, name)), el('td', {}, typeName(document_, schema)), el('td', {}, el('span', { class: 'soft' }, notes), ...prose(description)));
  });
  return el('div', {}, el('h4', {}, 'Parameters'), el('table', { class: 'fields-table' }, el('tbody', {}, ...body)));
}

function bodies(document_, title, list) {
  return list.map(({ type, schema }) => {
    const name = typeName(document_, schema);
    const json = type.includes('json') && Object.keys(follow(document_, schema)).length > 0;
    const shown = json && el('details', {}, el('summary', {}, 'Example'), copyable(JSON.stringify(example(document_, schema), null, 2)));
    return el('div', {}, el('h4', {}, title, ' ', el('code', {}, type), name !== 'anything' && name !== 'string' && ` ${name}`), fields(document_, schema), shown);
  });
}

function operation(document_, which) {
  const { id, method, path, operation: { summary, description, parameters: given, requestBody, responses = {}, security } } = which;
  const answers = Object.entries(responses).filter(([status]) => status !== 'default');
  const told = [summary, description].filter(Boolean).join(' ');
  return el(
    'article',
    { id, class: 'operation', tabIndex: -1 },
    el('h3', {}, el('a', { href: `#${id}` }, el('span', { class: `method ${method.toLowerCase()}` }, method), ' ', el('code', {}, path))),
    el('p', {}, ...prose(told), ' ', !security?.length && el('span', { class: 'tag' }, 'open to anyone')),
    copyable(curl(document_, which, location.origin)),
    parameters(document_, given),
    ...bodies(document_, 'Body', content(document_, requestBody ?? {})),
    ...answers.flatMap(([status, answer]) => {
      const list = content(document_, answer);
      return list.length > 0 ? bodies(document_, status, list) : [el('h4', {}, status, ' ', follow(document_, answer).description ?? '')];
    }),
  );
}

function draw(document_) {
  const tags = operations(document_);
  const { info, components = {} } = document_;
  main.replaceChildren(el('h1', {}, info.title, ' ', el('span', { class: 'soft' }, info.version)), el('p', { class: 'lead' }, ...prose(info.description)), errors(document_));
  for (const [tag, list] of tags) {
    main.append(el('section', { 'aria-label': tag }, el('h2', { id: `tag-${tag}` }, tag), ...list.map((which) => operation(document_, which))));
    const links = list.map(({ id, method, path }) => el('li', {}, el('a', { href: `#${id}` }, el('span', { class: `method ${method.toLowerCase()}` }, method), ' ', path)));
    contents.append(el('section', {}, el('h2', {}, tag), el('ul', {}, ...links)));
  }
  const schemas = Object.keys(components.schemas ?? {}).filter((name) => rows(document_, { $ref: `#/components/schemas/${name}` }).length > 0);
  const drawn = schemas.map((name) => {
    const schema = components.schemas[name];
    return el('article', { id: `schema-${name}`, class: 'operation', tabIndex: -1 }, el('h3', {}, el('code', {}, name)), el('p', {}, ...prose(schema.description)), fields(document_, schema));
  });
  main.append(el('section', { 'aria-label': 'Schemas' }, el('h2', {}, 'Schemas'), ...drawn));
}

/** What all operations have in common. */
function errors(document_) {
  const title = el('h2', {}, 'Errors and credentials');
  const text = 'Errors are `application/problem+json` (RFC 9457) with a stable `type`; 422 lists all that is wrong at once, with JSON pointers. `Authorization: Bearer` carries a token, or Basic an API key; started with `--dev`, the server asks nobody.';
  return el('section', {}, title, el('p', {}, ...prose(text)), fields(document_, { $ref: '#/components/schemas/Problem' }));
}

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const item of contents.querySelectorAll('li')) {
    item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
    count += item.hidden ? 0 : 1;
  }
  for (const section of contents.children) section.hidden = !section.querySelector('li:not([hidden])');
  if (words.length > 0) announce(`${count} operations`);
}

function arrive() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  target?.scrollIntoView();
  target?.focus({ preventScroll: true });
}

find.addEventListener('input', filter);
find.addEventListener('keydown', ({ key }) => key === 'Enter' && contents.querySelector('li:not([hidden]) a')?.click());
addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.matches('input')) return;
  event.preventDefault();
  find.focus();
});
addEventListener('hashchange', arrive);
try {
  draw(await (await fetch('/openapi.json')).json());
  arrive();
} catch (error) {
  main.replaceChildren(el('p', { class: 'fatal' }, `The description cannot be read: ${error.message}`));
}
