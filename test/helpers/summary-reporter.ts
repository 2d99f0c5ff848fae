import type { Reporter, TestModule } from 'vitest/node'

/** Closes every run with the plain line `N passed, N failed` that the CI reads. A file that could not be loaded counts as one failed test. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      let tests = 0
      for (const test of module.children.allTests()) {
        tests++
        count[test.result().state]++
      }
      if (tests === 0 && module.state() === 'failed') count.failed++
    }
    const skipped = count.skipped + count.pending
    console.log(`\n${count.passed} passed, ${count.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  }
}
