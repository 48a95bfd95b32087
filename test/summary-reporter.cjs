/**
 * Prints `N passed, N failed` as the run's last line. With CI=true a skipped test counts as a failure: a
 * machine that lacks a capability must not look like one where everything holds.
 */
module.exports = class SummaryReporter {
  onRunComplete(_contexts, results) {
    const skipped = results.numPendingTests + results.numTodoTests;
    const brokenSuites = results.numRuntimeErrorTestSuites;
    const strict = process.env.CI === 'true';
    this.failed = results.numFailedTests + brokenSuites + (strict ? skipped : 0);
    if (skipped > 0) {
      const verdict = strict ? 'counted as failures because CI=true' : 'not run';
      process.stderr.write(`\n${skipped} skipped test(s), ${verdict}\n`);
    }
    const tail = !strict && skipped > 0 ? `, ${skipped} skipped` : '';
    this.line = `${results.numPassedTests} passed, ${this.failed} failed${tail}\n`;
    // Written when the process ends, so that nothing can follow it.
    process.once('exit', () => process.stdout.write(this.line));
  }

  getLastError() {
    return this.failed > 0 ? new Error(`${this.failed} failed`) : undefined;
  }
};
