import { join } from 'node:path'
import { errorMessage } from '@cashflow/async'
import { fetchDebianPackage, findOnPath } from '@cashflow/dev-stack'

export interface PrometheusPrograms {
  readonly prometheus: string
  readonly promtool: string
}

/**
 * Finds Prometheus and its promtool: installed ones, or else Debian's, which apt-get downloads.
 *
 * @returns undefined where there is neither, after a line that says that tests are left out
 * @throws Error instead, where all tests have to run: `CASHFLOW_TEST_COMPLETE=yes`
 */
export async function fetchPrometheus({
  isComplete = process.env.CASHFLOW_TEST_COMPLETE === 'yes',
  find = findOnPath,
  fetchPackage = fetchDebianPackage,
  log = (line: string) => void process.stderr.write(`${line}\n`),
} = {}): Promise<PrometheusPrograms | undefined> {
  const prometheus = find('prometheus')
  const promtool = find('promtool')
  if (prometheus && promtool) return { prometheus, promtool }
  let reason = 'not installed'
  try {
    const folder = await fetchPackage('prometheus', { log })
    if (folder) return { prometheus: join(folder, 'usr/bin/prometheus'), promtool: join(folder, 'usr/bin/promtool') }
  } catch (error) {
    reason = `not installed, and apt-get could not download it: ${errorMessage(error)}`
  }
  if (isComplete) throw new Error(`Prometheus is ${reason}`)
  log(`Tests are left out, because Prometheus is ${reason}`)
  return undefined
}
