// Reads one question a line, answers one line: {schema, object, old} -> {errors: [{path, message, reason}]}, {schema, compile} -> {errors}.
import { createInterface } from "node:readline";
import { celEnv, isCelError, parse, plan, run } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";

const reserved = new Set(["true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
  "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"]);
const env = celEnv({ funcs: strings });
const programs = new Map();

function program(rule) {
  if (!programs.has(rule)) {
    programs.set(rule, plan(env, parse(rule)));
  }
  return programs.get(rule);
}

// As Kubernetes makes field names into identifiers.
function identifier(name) {
  if (reserved.has(name)) return `__${name}__`;
  return name.replaceAll("__", "__underscores__").replaceAll(".", "__dot__").replaceAll("-", "__dash__").replaceAll("/", "__slash__");
}

// A value with the types that its schema gives it: whole numbers are CEL's int, others double.
function typed(schema, value, isObject = false) {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map(item => typed(schema?.items ?? {}, item));
  if (typeof value === "object") {
    const fields = new Map();
    for (const [name, inner] of Object.entries(value)) {
      if (schema?.properties?.[name]) fields.set(identifier(name), typed(schema.properties[name], inner));
      else if (schema?.additionalProperties) fields.set(name, typed(schema.additionalProperties, inner));
      else if (isObject && (name === "apiVersion" || name === "kind")) fields.set(name, inner);
      else if (isObject && name === "metadata") fields.set(name, new Map(["name", "generateName"].filter(n => inner[n]).map(n => [n, inner[n]])));
    }
    return fields;
  }
  if (typeof value === "number") return schema?.type === "number" ? value : BigInt(value);
  if (schema?.format === "duration") return run("duration(v)", { v: value });
  if (schema?.format === "date-time") return run("timestamp(v)", { v: value });
  return value;
}

function evaluate(rule, bindings) {
  try {
    const result = program(rule)(bindings);
    return isCelError(result) ? { error: result.message } : { value: result };
  } catch (broken) {
    return { error: broken.message };
  }
}

function check(schema, value, old, path, errors, isObject = false) {
  if (value === null || value === undefined) return;
  for (const rule of schema["x-kubernetes-validations"] ?? []) {
    const isTransition = /\boldSelf\b/.test(rule.rule);
    if (isTransition && old === undefined) continue;
    const bindings = { self: typed(schema, value, isObject) };
    if (isTransition) bindings.oldSelf = typed(schema, old, isObject);
    const { value: holds, error } = evaluate(rule.rule, bindings);
    if (holds === true) continue;
    const said = rule.messageExpression ? evaluate(rule.messageExpression, bindings).value : undefined;
    const message = error !== undefined ? `rule evaluation error: ${error} (${rule.rule})`
      : typeof holds !== "boolean" ? `rule evaluation error: not a boolean (${rule.rule})`
        : typeof said === "string" ? said : rule.message ?? `failed rule: ${rule.rule}`;
    errors.push({ path: path + (rule.fieldPath ?? ""), message, reason: rule.reason ?? "FieldValueInvalid" });
  }

  if (Array.isArray(value)) {
    const keys = schema["x-kubernetes-list-type"] === "map" ? schema["x-kubernetes-list-map-keys"] : undefined;
    value.forEach((item, i) => {
      const before = keys && Array.isArray(old) ? old.find(o => keys.every(key => o[key] === item[key])) : undefined;
      check(schema.items ?? {}, item, before, `${path}[${i}]`, errors);
    });
  } else if (typeof value === "object") {
    for (const [name, inner] of Object.entries(value)) {
      const below = schema.properties?.[name] ?? (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined);
      if (below) check(below, inner, old?.[name], path === "" ? name : `${path}.${name}`, errors);
    }
  }
}

function compile(schema, path, errors) {
  for (const [i, rule] of (schema["x-kubernetes-validations"] ?? []).entries()) {
    for (const name of ["rule", "messageExpression"]) {
      try {
        if (rule[name]) program(rule[name]);
      } catch (bad) {
        errors.push({ path: `${path}.x-kubernetes-validations[${i}].${name}`, message: `compilation failed: ${bad.message}`, reason: "FieldValueInvalid" });
      }
    }
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {})) compile(inner, `${path}.properties[${name}]`, errors);
  if (schema.items) compile(schema.items, `${path}.items`, errors);
  if (typeof schema.additionalProperties === "object") compile(schema.additionalProperties, `${path}.additionalProperties`, errors);
}

createInterface({ input: process.stdin }).on("line", line => {
  const errors = [];
  try {
    const question = JSON.parse(line);
    if (question.compile) compile(question.schema, "openAPIV3Schema", errors);
    else check(question.schema, question.object, question.old ?? undefined, "", errors, true);
    process.stdout.write(JSON.stringify({ errors }) + "\n");
  } catch (broken) {
    process.stdout.write(JSON.stringify({ failed: String(broken.stack) }) + "\n");
  }
});
