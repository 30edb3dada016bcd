// Preloaded into every Node process of a run: connections to this machine only, anything else fails before DNS.
// It does not cover native add-ons or other programs; where that matters, a network policy is the real wall.
'use strict';
const dns = require('node:dns');
const net = require('node:net');

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1']);

const denied = (what) => Object.assign(new Error(`egress blocked: ${what}`), { code: 'EACCES' });

function guardLookups(target, fail) {
  for (const name of Object.getOwnPropertyNames(target)) {
    if (!/^(lookup|resolve|reverse)/.test(name) || typeof target[name] !== 'function') continue;
    const original = target[name];
    target[name] = function (host, ...rest) {
      return LOOPBACK.has(host) ? original.call(this, host, ...rest) : fail(host, rest);
    };
  }
}

guardLookups(dns, (host, rest) => process.nextTick(rest[rest.length - 1], denied(host)));
guardLookups(dns.promises, (host) => Promise.reject(denied(host)));
guardLookups(dns.Resolver.prototype, (host, rest) => process.nextTick(rest[rest.length - 1], denied(host)));
guardLookups(dns.promises.Resolver.prototype, (host) => Promise.reject(denied(host)));

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  // net.connect() hands over one array that it has normalized already
  const first = Array.isArray(args[0]) ? args[0][0] : args[0];
  const options = first !== null && typeof first === 'object' ? first : { port: first, host: args[1] };
  const host = typeof options.host === 'string' ? options.host : 'localhost';
  if (!options.path && !LOOPBACK.has(host)) {
    process.nextTick(() => this.destroy(denied(host)));
    return this;
  }
  return connect.apply(this, args);
};
