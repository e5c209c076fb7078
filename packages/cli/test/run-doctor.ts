import { expect } from 'chai'
import { runCashflow } from './run-cashflow.ts'

interface Line {
  readonly check: string
  readonly ok: boolean
  readonly warning?: true
  readonly detail: string
}

/** Runs `doctor`, and returns its lines by their checks. That of durability is left out: the server of tests has fsync off. */
export async function doctor(env: Readonly<Record<string, string>>) {
  const { code, stdout, stderr } = await runCashflow(['doctor', '--json'], env)
  const lines = stdout
    .trim()
    .split('\n')
    .map((line): Line => JSON.parse(line))
  const wrong = lines.filter(({ ok }) => !ok)
  expect([code, stderr], stdout).to.deep.equal(
    wrong.length === 0 ? [0, ''] : [1, `${wrong.length} of ${lines.length} checks are not ok.\n`],
  )
  return {
    wrong: wrong.map(({ check }) => check).filter((check) => check !== 'durability'),
    warnings: lines.filter(({ warning }) => warning).map(({ check }) => check),
    detail: (name: string) => lines.find(({ check }) => check === name)?.detail,
  }
}
