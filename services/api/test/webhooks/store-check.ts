import { randomUUID } from 'node:crypto'
import { claimCheck, finishCheck } from '@cashflow/db/webhooks'
import { checkReceiver, createSender, newSecret, reportJson } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import type { ApiUnderTest } from '../start-api.ts'

/** Ends all checks that wait, as services/webhooks does for a receiver that is not there. */
export async function finishChecks({ db }: ApiUnderTest): Promise<void> {
  const sender = createSender({ policy: { allowPrivate: true } })
  for (;;) {
    const claimed = await claimCheck(db, { token: randomUUID(), leaseMs: 60_000 })
    if (!claimed) break
    const { id, token, kind } = claimed
    const report = await checkReceiver({ sender, url: 'http://127.0.0.1:1/', secrets: [newSecret()], kind })
    expect(await finishCheck(db, { id, token, report: reportJson(report) })).to.equal(true)
  }
  await sender.close()
}
