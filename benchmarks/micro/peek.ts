import { writeClosingHead, longestClosingHead } from '../../src/peek/closing-head';
import { Http1Peek } from '../../src/peek/http1';
import { BROWSER_HEAD, HEAD_BYTES } from './browser-head';
import { sink, type Micro } from './micro';

/** Reads a head and makes the strings that routing looks at. */
export function peek(): Micro {
  const head = new Http1Peek(HEAD_BYTES);
  const calls = 50;
  return {
    name: 'peek',
    yardstick: 'scan',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) {
        head.read(BROWSER_HEAD, BROWSER_HEAD.length);
        sink.value += head.method.length + head.host.length + head.path.length;
      }
    },
  };
}

/** Writes the head of a connection that carries one request. */
export function closingHead(): Micro {
  const head = new Http1Peek(HEAD_BYTES);
  head.read(BROWSER_HEAD, BROWSER_HEAD.length);
  const into = Buffer.alloc(longestClosingHead(HEAD_BYTES));
  const calls = 50;
  return {
    name: 'closing head',
    yardstick: 'scan',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) sink.value += writeClosingHead(head, BROWSER_HEAD, into);
    },
  };
}
