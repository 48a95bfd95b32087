/** Runs one suite after the other in jest's own process, whatever `maxWorkers` is. */
const { default: TestRunner } = require('jest-runner');

module.exports = class SerialRunner extends TestRunner {
  isSerial = true;
};
