import { uuidv7 } from '@cashflow/runtime'
import { expect } from 'chai'
import type { SeenInstance } from '../../src/instances/instances.ts'
import { endText, isGone, replacedOf, replacedText } from '../../src/operator/gone.ts'

const NOW = Date.parse('2026-11-30T12:00:00Z')

/** A process that was started `startedAgo` seconds ago, and seen last `seenAgo` seconds ago. */
function seen(role: SeenInstance['role'], instance: string, startedAgo: number, seenAgo: number): SeenInstance {
  const [startedAt, seenAt] = [new Date(NOW - startedAgo * 1_000), new Date(NOW - seenAgo * 1_000)]
  const rest = { id: uuidv7(), version: '1', counters: {}, queueDepths: null }
  return { ...rest, role, instance, startedAt, seenAt, ageMs: seenAgo * 1_000 }
}

const replaced = (...instances: readonly SeenInstance[]) =>
  Array.from(replacedOf(instances), ({ instance }) => instance).toSorted()

describe('cashflow status: processes that are gone', () => {
  it('gone: a process counts as gone after 10 seconds without a heartbeat', () => {
    expect([9.9, 10.1].map((seconds) => isGone(seen('api', 'vm:1', 60, seconds)))).to.deep.equal([false, true])
  })

  it('gone: a process is replaced by one of its role that was started after its last heartbeat', () => {
    const gone = seen('worker', 'vm:1', 3_600, 300)
    expect(replaced(gone, seen('worker', 'vm:2', 290, 1))).to.deep.equal(['vm:1'])
    expect(replaced(gone, seen('relay', 'vm:2', 290, 1)), 'another role').to.deep.equal([])
    expect(replaced(gone, seen('worker', 'vm:2', 3_600, 1)), 'it ran before').to.deep.equal([])
  })

  it('gone: each process replaces one', () => {
    const [first, second] = [seen('worker', 'vm:1', 3_600, 300), seen('worker', 'vm:2', 3_600, 200)]
    expect(replaced(first, second, seen('worker', 'vm:3', 100, 1))).to.have.length(1)
    // The one that was started first can only replace the first.
    expect(replaced(first, second, seen('worker', 'vm:3', 250, 1), seen('worker', 'vm:4', 100, 1))).to.have.length(2)
    expect(replaced(first, second, seen('worker', 'vm:4', 100, 1), seen('worker', 'vm:3', 250, 1))).to.have.length(2)
  })

  it('gone: a replacement that is gone itself needs a replacement', () => {
    const [first, second] = [seen('worker', 'vm:1', 3_600, 300), seen('worker', 'vm:2', 290, 100)]
    expect(replaced(first, second)).to.deep.equal(['vm:1'])
    expect(replaced(first, second, seen('worker', 'vm:3', 90, 1))).to.deep.equal(['vm:1', 'vm:2'])
  })

  it('gone: the line of a replaced process says when it ends', () => {
    expect(replacedText(seen('worker', 'vm:1', 3_600, 300), NOW)).to.equal(
      'vm:1 was not seen for 5m, ended without a clean stop, and was replaced; this line ends at 12:10 UTC',
    )
  })

  it('gone: kill -9 names the process id, unless a process that runs has the same name', () => {
    const frozen = seen('worker', '::1:7', 3_600, 300)
    expect(endText(frozen, [frozen])).to.equal(
      'If it still runs on ::1, it is frozen: kill -9 7. Then start another one, if your supervisor does not.',
    )
    expect(endText(frozen, [frozen, seen('worker', '::1:7', 3_600, 1)])).to.not.include('kill')
  })
})
