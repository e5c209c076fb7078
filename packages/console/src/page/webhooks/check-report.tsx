import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { CheckAnswer } from '../../answers.ts'
import { Json } from '../parts/json.tsx'
import { Pill } from '../parts/pill.tsx'
import { Loaded } from '../parts/states.tsx'
import { Ago } from '../parts/time.tsx'
import { usePolled } from '../polled.ts'

interface CheckReportProps {
  readonly endpointId: string
  readonly id: string
}

const NAMES = { check: 'Check', ping: 'Ping' } as const

/** What a check or a ping has found. It is asked for until it is finished. */
export function CheckReport({ endpointId, id }: CheckReportProps) {
  const finished = useSignal<CheckAnswer | null>(null)
  const path = `/api/webhooks/endpoints/${endpointId}/checks/${encodeURIComponent(id)}`
  const polled = usePolled<CheckAnswer>(finished.value === null ? path : null)
  useEffect(() => {
    if (polled.data?.finished_at) finished.value = polled.data
  }, [polled.data])
  return (
    <section class="card report" aria-label="Report">
      {finished.value === null ? (
        <Loaded polled={polled}>{(check) => <Check check={check} />}</Loaded>
      ) : (
        <Check check={finished.value} />
      )}
    </section>
  )
}

function Check({ check: { kind, created_at, finished_at, report } }: { readonly check: CheckAnswer }) {
  return (
    <>
      <div class="card-head">
        <h2>{NAMES[kind]}</h2>
        <span class="muted">
          {finished_at === null ? <Pill tone="busy">Running</Pill> : <Pill tone="ok">Finished</Pill>} begun{' '}
          <Ago at={created_at} />
        </span>
      </div>
      {finished_at === null ? (
        <p class="muted">A process of webhooks does it. The report appears here.</p>
      ) : (
        <Json value={report} label={`Report of the ${kind}`} />
      )}
    </>
  )
}
