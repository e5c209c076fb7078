import type { RequestListener } from 'node:http'
import { CHECK_NAMES, newSecret } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { runCashflow } from './run-cashflow.ts'
import { listen, tellOutcome, verifying } from './verifying-receiver.ts'

const SECRET = newSecret()

describe('cashflow webhooks check', function () {
  this.timeout(60_000)
  let receiver: Awaited<ReturnType<typeof listen>>
  afterEach(() => receiver.close())

  const start = async (listener: RequestListener) => {
    receiver = await listen(listener)
    return receiver.url
  }

  it('cashflow webhooks check: exits with 0 without settings if all is shown and right, and else with 1', async () => {
    const ids = new Map<string, number>()
    const url = await start(verifying(SECRET, (response, headers) => tellOutcome(ids, response, headers)))
    const right = await runCashflow(['webhooks', 'check', url, '--secret', SECRET], {})
    expect(right.code, `${right.stdout}\n${right.stderr}`).to.equal(0)
    for (const name of CHECK_NAMES) expect(right.stdout).to.contain(name)
    expect(right.stdout).to.match(/^forged_signature +refused +passed +400 +\d+$/m)
    expect(right.stdout).to.match(/^duplicate +accepted +passed +204 handled, 204 duplicate +\d+$/m)
    expect(right.stdout).to.match(/\nAll 21 cases passed\.\n$/)
    receiver.close()
    const silent = await runCashflow(['webhooks', 'check', await start(verifying(SECRET)), '--secret', SECRET], {})
    expect(silent.code).to.equal(1)
    expect(silent.stdout).to.match(/^duplicate +accepted +not shown +204, 204 +\d+$/m)
    expect(silent.stdout).to.match(
      /^duplicate, simultaneous_duplicates, in_order, out_of_order: The answer does not show it\. /m,
    )
    expect(silent.stderr).to.contain('The receiver did not pass: 17 passed, 4 not shown.')
  })

  it('cashflow webhooks check: exits with 1 and names what is wrong, as JSON too, with the secret from the environment', async () => {
    const url = await start((request, response) => void request.resume().on('end', () => response.writeHead(204).end()))
    const env = { CASHFLOW_WEBHOOK_SECRET: SECRET }
    const people = await runCashflow(['webhooks', 'check', url], env)
    expect(people.code).to.equal(1)
    expect(people.stdout).to.match(/^forged_signature +refused +FAILED +204 +\d+$/m)
    expect(people.stdout).to.match(
      /^forged_signature: Answer: 204\. An event that is signed with another secret was accepted\./m,
    )
    expect(people.stderr).to.contain('The receiver did not pass: 7 passed, 4 not shown, 10 failed.')
    const json = await runCashflow(['webhooks', 'check', url, '--json'], env)
    expect(json.code).to.equal(1)
    const report = JSON.parse(json.stdout)
    expect(report).to.include({ result: 'failed' })
    expect(report.cases.map(({ name }: { name: string }) => name)).to.deep.equal(CHECK_NAMES)
    for (const text of [people.stdout, people.stderr, json.stdout]) expect(text).to.not.contain(SECRET.slice(6))
  })

  it('cashflow webhooks check: says that the secret may be another one, and never shows a wrong secret', async () => {
    const url = await start(verifying(newSecret()))
    const other = await runCashflow(['webhooks', 'check', url, '--secret', SECRET], {})
    expect(other.code).to.equal(1)
    expect(other.stdout).to.match(
      /^valid: Answer: 400\. .*secret of this endpoint, in base64 .*\n {2}It answered: not ours$/m,
    )
    expect((await runCashflow(['webhooks', 'check', url], {})).stderr).to.contain('CASHFLOW_WEBHOOK_SECRET')
    const wrong = await runCashflow(['webhooks', 'check', url, '--secret', 'hunter2'], {})
    expect(wrong.code).to.equal(2)
    expect(wrong.stderr).to.contain('24 to 64 bytes in base64').and.not.contain('hunter2')
  })
})
