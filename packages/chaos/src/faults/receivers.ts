import type { Fault } from '../fault.ts'
import type { ReceiverMode } from '../receiver.ts'
import type { RunningEndpoint } from '../webhook-endpoints.ts'

const MODES: readonly ReceiverMode[] = ['slow', 'failing', 'lying']

/** The servers of one webhook endpoint, or of all of them, are away or answer wrongly. */
export const RECEIVER_FAULTS: readonly Fault[] = [
  receiverFault('away', [
    (endpoints) => Promise.all(endpoints.map(({ receiver }) => receiver.leave())),
    (endpoints) => Promise.all(endpoints.map(({ receiver }) => receiver.comeBack())),
  ]),
  ...MODES.map((mode) => {
    const set = (to: ReceiverMode) => (endpoints: readonly RunningEndpoint[]) => {
      for (const { receiver } of endpoints) receiver.setMode(to)
    }
    return receiverFault(mode, [set(mode), set('normal')])
  }),
]

type Act = (endpoints: readonly RunningEndpoint[]) => unknown

function receiverFault(name: string, [cause, undo]: readonly [Act, Act]): Fault {
  return {
    name: `receiver-${name}`,
    disturbs: ['receivers'],
    lastsMs: [2_000, 12_000],
    recoveryMs: 3_000,
    async run({ endpoints }, { random, untilEnd }) {
      const chosen = random.pick([endpoints.own, ...endpoints.own.map((endpoint) => [endpoint])])
      await cause(chosen)
      await untilEnd()
      await undo(chosen)
      return undefined
    },
  }
}
