// What promptfoo takes for the model: every answer comes from the gateway of this run, by arm and case id.
// Variables of the owner's tests travel along, rendered by promptfoo; the filter in prompt.cjs has kept them.
'use strict';
const http = require('node:http');

const agent = new http.Agent({ keepAlive: true });

function post(url, said) {
  return new Promise((resolve, reject) => {
    const body = Buffer.from(JSON.stringify(said));
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const request = http.request(url, { method: 'POST', agent, headers }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode !== 200) return reject(new Error(`the gateway answered ${answer.statusCode}`));
        resolve(JSON.parse(Buffer.concat(parts).toString('utf8')));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

module.exports = class Gateway {
  constructor(options) {
    this.config = options.config;
  }

  id() {
    return 'gateway';
  }

  async callApi(prompt, context) {
    const kept = globalThis[Symbol.for('tracegrad.variables')];
    const said = { arm: context.prompt.label, case_id: context.test.metadata.tracegrad_case };
    if (kept && kept.has(prompt)) Object.assign(said, { prompt, variables: kept.get(prompt) });
    return post(this.config.url, said);
  }
};
