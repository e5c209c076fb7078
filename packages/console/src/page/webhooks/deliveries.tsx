import { useSignal } from '@preact/signals'
import {
  DELIVERY_STATUSES,
  type DeliveriesAnswer,
  type DeliveryAnswer,
  type EndpointAnswer,
  type RedeliverBody,
} from '../../answers.ts'
import { pathOf, post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { Pages } from '../parts/pages.tsx'
import { Empty, Loaded, Notes } from '../parts/states.tsx'
import { Chosen } from '../parts/text.tsx'
import { usePolled } from '../polled.ts'
import { setQuery } from '../router.ts'
import { DELIVERY_NAMES, DeliveriesTable } from './deliveries-table.tsx'

interface DeliveriesProps {
  readonly endpoint: EndpointAnswer
  readonly query: URLSearchParams
}

/** What was sent to an endpoint, and what will be. */
export function Deliveries({ endpoint, query }: DeliveriesProps) {
  const redelivered = useSignal<DeliveryAnswer | null>(null)
  const [status, after] = [query.get('status'), query.get('after')]
  const path = pathOf('/api/webhooks/deliveries', { endpoint: endpoint.id, status, after })
  const polled = usePolled<DeliveriesAnswer>(path)
  return (
    <section aria-labelledby="deliveries">
      <div class="section-head">
        <h2 id="deliveries">Deliveries</h2>
        <StatusFilter status={status ?? ''} />
      </div>
      <Loaded polled={polled}>
        {({ deliveries, next, notes }) => (
          <>
            <Notes notes={notes} />
            {deliveries.length === 0 ? (
              <Empty title={status === null && after === null ? 'No deliveries yet' : 'No delivery is found'} />
            ) : (
              <DeliveriesTable
                deliveries={deliveries}
                redeliver={(delivery) => {
                  redelivered.value = delivery
                }}
              />
            )}
            <Pages path={`/webhooks/${endpoint.id}`} query={query} next={next} names={['Newest', 'Older']} />
          </>
        )}
      </Loaded>
      {redelivered.value !== null && (
        <RedeliverDialog
          delivery={redelivered.value}
          close={() => {
            redelivered.value = null
            polled.again()
          }}
        />
      )}
    </section>
  )
}

function StatusFilter({ status }: { readonly status: string }) {
  return (
    <label class="inline-field">
      <span>Status</span>
      <select value={status} onChange={(event) => setQuery({ status: event.currentTarget.value })}>
        <option value="">Any</option>
        {DELIVERY_STATUSES.map((name) => (
          <option key={name} value={name}>
            {DELIVERY_NAMES[name]}
          </option>
        ))}
      </select>
    </label>
  )
}

interface RedeliverDialogProps {
  readonly delivery: DeliveryAnswer
  readonly close: () => void
}

function RedeliverDialog({ delivery: { event_id, event_type, endpoint_id }, close }: RedeliverDialogProps) {
  const submit = async (reason: string) => {
    const body: RedeliverBody = { event_id, endpoint_id, reason }
    await post('/api/webhooks/redeliver', body)
    return 'The event is sent again.'
  }
  return (
    <ActDialog title="Redeliver the event" act="Redeliver" submit={submit} close={close}>
      <p>
        <Chosen text={event_type} />, <code class="wrap-anywhere">{event_id}</code>
      </p>
      <p>It is sent to this endpoint again now, with the same id.</p>
    </ActDialog>
  )
}
