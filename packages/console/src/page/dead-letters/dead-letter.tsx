import { useSignal } from '@preact/signals'
import type { DeadLetterPageAnswer } from '../../answers.ts'
import { ActsTable } from '../audit/acts-table.tsx'
import { Fact } from '../parts/fact.tsx'
import { Json } from '../parts/json.tsx'
import { Link } from '../parts/link.tsx'
import { Pill } from '../parts/pill.tsx'
import { Loaded } from '../parts/states.tsx'
import { Chosen, Copy } from '../parts/text.tsx'
import { Ago, At } from '../parts/time.tsx'
import { usePolled } from '../polled.ts'
import { mayOperate } from '../session.ts'
import { countText } from '../text/digits.ts'
import { type ResolveAct, ResolveDialog } from './resolve.tsx'

export function DeadLetterView({ id }: { readonly id: string }) {
  const polled = usePolled<DeadLetterPageAnswer>(`/api/dead-letters/${encodeURIComponent(id)}`)
  return (
    <>
      <p class="up">
        <Link href="/dead-letters">Dead letters</Link>
      </p>
      {polled.data === undefined && <h1>Dead letter</h1>}
      <Loaded polled={polled}>{(letter) => <DeadLetter letter={letter} again={polled.again} />}</Loaded>
    </>
  )
}

interface DeadLetterProps {
  readonly letter: DeadLetterPageAnswer
  readonly again: () => void
}

function DeadLetter({ letter, again }: DeadLetterProps) {
  const { id, reason, resolution, resolved_at, payload, headers, acts } = letter
  return (
    <>
      <div class="title">
        <h1>Dead letter {id}</h1>
        {resolution === null ? <Pill tone="bad">Unresolved</Pill> : <Pill tone="ok">{resolution}</Pill>}
        {resolved_at !== null && (
          <span class="muted">
            <Ago at={resolved_at} />
          </span>
        )}
        {resolution === null && mayOperate() && <LetterActs id={id} again={again} />}
      </div>
      <section class="findings" aria-labelledby="reason">
        <h2 id="reason">Why it died</h2>
        <p>
          <Chosen text={reason} />
        </p>
      </section>
      <div class="payment-columns">
        <section class="card" aria-labelledby="body">
          <h2 id="body">Message</h2>
          <h3>Body</h3>
          <Json value={payload} label="Body of the message" />
          <h3>Headers</h3>
          <Json value={headers} label="Headers of the message" />
        </section>
        <LetterFacts letter={letter} />
      </div>
      {acts.length > 0 && (
        <section aria-labelledby="acts">
          <div class="section-head">
            <h2 id="acts">What operators did</h2>
          </div>
          <ActsTable acts={acts} />
        </section>
      )}
    </>
  )
}

function LetterFacts({ letter }: { readonly letter: DeadLetterPageAnswer }) {
  const { source, topic, key, message_id, attempts, created_at, died_at } = letter
  return (
    <section class="card" aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl class="facts">
        <Fact name="Source">
          <Chosen text={source} />
        </Fact>
        <Fact name="Topic">
          <Chosen text={topic} />
        </Fact>
        <Fact name={UUID.test(key) ? 'Payment' : 'Key'}>
          {UUID.test(key) ? <Link href={`/payments/${key}`}>{key}</Link> : <Chosen text={key} />}{' '}
          <Copy text={key} what="key" />
        </Fact>
        <Fact name="Message">
          <code>
            <Chosen text={message_id} />
          </code>{' '}
          <Copy text={message_id} what="id of the message" />
        </Fact>
        <Fact name="Attempts">{countText(attempts)}</Fact>
        <Fact name="Created">
          <At at={created_at} />
        </Fact>
        <Fact name="Died">
          <At at={died_at} />
        </Fact>
      </dl>
    </section>
  )
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function LetterActs({ id, again }: { readonly id: string; readonly again: () => void }) {
  const open = useSignal<ResolveAct | null>(null)
  const button = (act: ResolveAct, text: string) => (
    <button
      type="button"
      onClick={() => {
        open.value = act
      }}
    >
      {text}
    </button>
  )
  return (
    <div class="acts">
      {button('requeue', 'Requeue…')}
      {button('discard', 'Discard…')}
      {open.value !== null && (
        <ResolveDialog
          act={open.value}
          ids={[id]}
          close={() => {
            open.value = null
            again()
          }}
        />
      )}
    </div>
  )
}
