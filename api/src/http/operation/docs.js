"use strict";
const make = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children.filter(child => child !== undefined && child !== null));
  return element;
};
const text = value => document.createTextNode(value === undefined ? "" : String(value));
const paragraphs = value => (value || "").split(/\n\n+/).filter(Boolean).map(part => make("p", {}, text(part)));

let api;
const resolve = schema => {
  if (schema && schema.$ref) return api.components.schemas[schema.$ref.split("/").pop()] || {};
  return schema || {};
};
const nameOf = schema => {
  if (!schema) return "";
  const words = resolve(schema).enum;
  if (words) return words.join(" | ");
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(nameOf).filter(name => name !== "null").join(" | ");
  if (schema.type === "array") return "[" + nameOf(schema.items) + "]";
  return Array.isArray(schema.type) ? schema.type.filter(type => type !== "null").join(" | ") : schema.type || "object";
};
const example = (schema, depth) => {
  const given = resolve(schema);
  if (given.example !== undefined) return given.example;
  if (schema && schema.example !== undefined) return schema.example;
  if (given.default !== undefined) return given.default;
  if (given.enum) return given.enum[0];
  if (depth > 5) return null;
  if (given.oneOf) return example(given.oneOf.find(one => one.type !== "null"), depth + 1);
  if (given.allOf) return Object.assign({}, ...given.allOf.map(part => example(part, depth + 1)));
  const type = Array.isArray(given.type) ? given.type.find(one => one !== "null") : given.type;
  if (type === "array") return [example(given.items, depth + 1)];
  if (given.properties) {
    const shown = {};
    for (const [name, property] of Object.entries(given.properties)) shown[name] = example(property, depth + 1);
    return shown;
  }
  return { string: "…", integer: 0, number: 0, boolean: false }[type] ?? {};
};
const fields = schema => {
  const given = resolve(schema);
  const all = given.allOf ? Object.assign({}, ...given.allOf.map(part => resolve(part).properties || {})) : given.properties;
  if (!all) return null;
  const rows = Object.entries(all).map(([name, property]) => make("tr", {},
    make("td", {}, make("code", {}, text(name)), (given.required || []).includes(name) ? text(" *") : ""),
    make("td", {}, text(nameOf(property))),
    make("td", {}, text(property.description || ""))));
  return make("details", {}, make("summary", {}, text("Fields")), make("table", {}, ...rows));
};
const content = media => Object.entries(media || {}).flatMap(([kind, value]) => {
  const shown = value.example !== undefined ? value.example : example(value.schema, 0);
  const body = typeof shown === "string" ? shown : JSON.stringify(shown, null, 2);
  return [make("p", {}, make("code", {}, text(kind)), text(" " + nameOf(value.schema))), make("pre", {}, text(body)), fields(value.schema)];
});
const operation = (path, verb, given) => {
  const section = make("section", { id: given.operationId });
  section.append(make("h3", {}, make("span", { class: "verb " + verb }, text(verb.toUpperCase())), text(" "), make("code", {}, text(path))));
  section.append(make("p", {}, make("strong", {}, text(given.summary || ""))), ...paragraphs(given.description));
  if ((given.parameters || []).length) {
    const rows = given.parameters.map(parameter => make("tr", {},
      make("td", {}, make("code", {}, text(parameter.name)), parameter.required ? text(" *") : ""),
      make("td", {}, text(parameter.in)), make("td", {}, text(nameOf(parameter.schema))), make("td", {}, text(parameter.description || ""))));
    section.append(make("h4", {}, text("Parameters")), make("table", {}, ...rows));
  }
  if (given.requestBody) section.append(make("h4", {}, text("Body")), ...content(given.requestBody.content).filter(Boolean));
  for (const [status, answer] of Object.entries(given.responses || {})) {
    const details = make("details", {}, make("summary", {}, text(status + " " + (answer.description || ""))), ...content(answer.content).filter(Boolean));
    if (status.startsWith("2")) details.open = true;
    section.append(details);
  }
  return section;
};
const show = given => {
  api = given;
  const main = document.getElementById("main"), index = document.getElementById("index");
  main.replaceChildren(make("h1", {}, text(api.info.title + " " + api.info.version)), ...paragraphs(api.info.description),
    make("p", {}, make("a", { href: "/v1/openapi.json" }, text("OpenAPI document"))));
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) for (const [verb, value] of Object.entries(item)) {
    const tag = (value.tags || ["other"])[0];
    groups.set(tag, [...(groups.get(tag) || []), [path, verb, value]]);
  }
  for (const [tag, operations] of groups) {
    main.append(make("h2", {}, text(tag)), ...operations.map(one => operation(...one)));
    index.append(make("h3", {}, text(tag)), ...operations.map(([path, verb, value]) =>
      make("a", { href: "#" + value.operationId }, text(verb.toUpperCase() + " " + path))));
  }
  document.getElementById("filter").addEventListener("input", event => {
    const wanted = event.target.value.toLowerCase();
    for (const link of index.querySelectorAll("a")) link.hidden = !link.textContent.toLowerCase().includes(wanted);
  });
};
fetch("/v1/openapi.json").then(answer => answer.json()).then(show)
  .catch(error => document.getElementById("main").replaceChildren(text("The document could not be loaded: " + error)));
