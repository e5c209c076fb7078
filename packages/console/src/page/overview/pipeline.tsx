import { useSignal } from '@preact/signals'
import type { InstanceAnswer, Overview } from '../../answers.ts'
import { Pill, type Tone } from '../parts/pill.tsx'
import { Chosen } from '../parts/text.tsx'
import { Ago } from '../parts/time.tsx'
import { mayOperate } from '../session.ts'
import { durationText } from '../text/durations.ts'
import { PauseDialog } from './pause.tsx'
import { perSecond, type Stage, stagesOf } from './stages.ts'
import { Waiting } from './waiting.tsx'

/** The way of a payment, with live numbers. */
export function Pipeline({ overview }: { readonly overview: Overview }) {
  const { api, outbox, broker, worker, provider, webhooks } = stagesOf(overview)
  const rates = overview.rates
  return (
    <section aria-label="Pipeline" class="pipeline-section">
      <ol class="pipeline">
        <Card stage={api} />
        <Flow rate={rates?.created} what="created" />
        <Card stage={outbox} />
        <Flow rate={rates?.published} what="published" />
        <Card stage={broker} />
        <Flow rate={rates?.delivered} what="delivered" />
        <Card stage={worker} />
        <Flow what="asks" />
        <Card stage={provider} />
        <Flow rate={rates?.webhooks} what="webhooks" isBranch />
        <Card stage={webhooks} />
        <li class="stage-waiting">
          <Waiting pending={overview.pending} />
        </li>
      </ol>
    </section>
  )
}

interface FlowProps {
  /** Undefined before the second look. Left out where none is counted. */
  readonly rate?: number | undefined
  readonly what: string
  readonly isBranch?: boolean
}

function Flow({ what, isBranch, ...props }: FlowProps) {
  return (
    <li class={isBranch ? 'flow branch' : 'flow'}>
      <span class="flow-rate">{'rate' in props && perSecond(props.rate)}</span>
      <span class="flow-line" aria-hidden="true" />
      <span class="flow-what">{what}</span>
    </li>
  )
}

function stateOf({ over, pause, isKnown }: Stage): { readonly tone: Tone; readonly text: string } {
  if (over.length > 0) return { tone: 'bad', text: 'Attention' }
  if (pause) return { tone: 'warn', text: 'Paused' }
  return isKnown ? { tone: 'ok', text: 'OK' } : { tone: 'quiet', text: 'Unknown' }
}

function Card({ stage }: { readonly stage: Stage }) {
  const { name, about, facts, instances } = stage
  const { tone, text } = stateOf(stage)
  return (
    <li class={`stage ${tone}`} data-stage={name}>
      <div class="stage-head">
        <h2>{name}</h2>
        <Pill tone={tone}>{text}</Pill>
      </div>
      <p class="muted">{about}</p>
      <dl class="stage-facts">
        {facts.map(({ label, value }) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {instances && <Instances role={instances.role} seen={instances.seen} />}
      {stage.component && <Pause stage={stage} />}
    </li>
  )
}

const STATES: Readonly<Record<InstanceAnswer['state'], Tone>> = { up: 'ok', late: 'warn', gone: 'bad', paused: 'quiet' }

function Instances({ role, seen }: { readonly role: string; readonly seen: readonly InstanceAnswer[] }) {
  if (seen.length === 0) return <p class="muted">No process has reported.</p>
  return (
    <ul class="instances" aria-label={`Processes of the ${role}`}>
      {seen.map((instance) => (
        <li key={instance.id} title={titleOf(instance)}>
          <Pill tone={instance.replaced ? 'quiet' : STATES[instance.state]}>
            {instance.replaced ? 'replaced' : instance.state}
          </Pill>
          <InstanceName name={instance.instance} />
        </li>
      ))}
    </ul>
  )
}

/** Host and process id. A long host is cut, and its process id stays. */
function InstanceName({ name }: { readonly name: string }) {
  const [, host = name, process = ''] = /^(.+)([:/-]\d+)$/.exec(name) ?? []
  return (
    <span class="instance">
      <span class="cut">
        <Chosen text={host} />
      </span>
      {process}
    </span>
  )
}

function titleOf({ instance, version, started_at, seen_ms_ago }: InstanceAnswer): string {
  return `${instance}, version ${version}, started ${started_at}, last seen ${durationText(seen_ms_ago)} ago`
}

function Pause({ stage: { component, pause, name } }: { readonly stage: Stage }) {
  const isOpen = useSignal(false)
  if (!component) return null
  const open = () => {
    isOpen.value = true
  }
  return (
    <div class="pause">
      {pause && (
        <p>
          Paused <Ago at={pause.paused_at} /> by <Chosen text={pause.paused_by} />: <Chosen text={pause.reason} />
          {pause.until === null ? (
            ', without an end'
          ) : (
            <>
              , ends <Ago at={pause.until} />
            </>
          )}
        </p>
      )}
      {mayOperate() && (
        <button type="button" class="small" onClick={open}>
          {pause ? 'Resume…' : 'Pause…'}
          <span class="visually-hidden"> {name}</span>
        </button>
      )}
      {isOpen.value && (
        <PauseDialog
          component={component}
          isPaused={pause !== null}
          close={() => {
            isOpen.value = false
          }}
        />
      )}
    </div>
  )
}
