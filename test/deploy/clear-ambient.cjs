// Required before a program: it goes on with its capabilities, but the programs that it starts get none. That is what a
// capability does to a process that has it from its file (setcap).
const koffi = require('koffi');

const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const prctl = koffi
  .load('libc.so.6')
  .func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) !== 0)
  throw new Error('clear ambient capabilities');
