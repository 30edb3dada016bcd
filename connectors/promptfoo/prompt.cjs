// A nunjucks filter that stands for a prompt: keeps the test's variables as promptfoo rendered them, and gives a name
// for them and the arm. The prompt's own text never comes here: it is no template of promptfoo's.
'use strict';
const { createHash } = require('node:crypto');

const OWN = /^(__eval|__repeatIndex|_conversation)/;

module.exports = function prompt(arm) {
  const key = Symbol.for('tracegrad.variables');
  const kept = (globalThis[key] ??= new Map());
  const variables = {};
  for (const [name, value] of Object.entries(this.ctx)) {
    if (OWN.test(name) || value === undefined || value === null) continue;
    variables[name] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  const text = JSON.stringify([arm, Object.entries(variables).sort()]);
  const name = `tracegrad-prompt-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
  kept.set(name, variables);
  return name;
};
