import { useSignal } from '@preact/signals'
import type { CheckAnswer, CheckBody, EndpointAnswer, SwitchBody } from '../../answers.ts'
import { post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { Chosen } from '../parts/text.tsx'
import { setQuery } from '../router.ts'
import { ReplayDialog } from './replay.tsx'

interface EndpointActsProps {
  readonly endpoint: EndpointAnswer
  readonly again: () => void
}

type Act = 'enable' | 'disable' | 'replay' | CheckBody['kind']

export function EndpointActs({ endpoint, again }: EndpointActsProps) {
  const opened = useSignal<Act | null>(null)
  const close = () => {
    opened.value = null
    again()
  }
  const button = (act: Act, text: string) => (
    <button
      type="button"
      onClick={() => {
        opened.value = act
      }}
    >
      {text}
    </button>
  )
  const act = opened.value
  return (
    <div class="acts">
      {button('check', 'Check…')}
      {button('ping', 'Ping…')}
      {endpoint.state !== 'disabled' && button('replay', 'Replay…')}
      {endpoint.state === 'disabled' ? button('enable', 'Enable…') : button('disable', 'Disable…')}
      {(act === 'enable' || act === 'disable') && <SwitchDialog endpoint={endpoint} act={act} close={close} />}
      {(act === 'check' || act === 'ping') && <CheckDialog endpoint={endpoint} kind={act} close={close} />}
      {act === 'replay' && <ReplayDialog endpoint={endpoint} close={close} />}
    </div>
  )
}

const SWITCHES = {
  enable: {
    title: 'Enable the endpoint',
    act: 'Enable',
    effect: 'New events are sent to it again. Those that it has missed are sent when you replay them.',
    done: 'The endpoint was enabled.',
  },
  disable: {
    title: 'Disable the endpoint',
    act: 'Disable',
    effect: 'Nothing is sent to it until it is enabled again. What it misses can be replayed.',
    done: 'The endpoint was disabled.',
  },
} as const

interface SwitchDialogProps {
  readonly endpoint: EndpointAnswer
  readonly act: keyof typeof SWITCHES
  readonly close: () => void
}

function SwitchDialog({ endpoint: { id, url }, act, close }: SwitchDialogProps) {
  const { title, effect, done, act: text } = SWITCHES[act]
  const submit = async (reason: string) => {
    const body: SwitchBody = { reason }
    await post(`/api/webhooks/endpoints/${id}/${act}`, body)
    return done
  }
  return (
    <ActDialog title={title} act={text} isDangerous={act === 'disable'} submit={submit} close={close}>
      <p>
        <Chosen text={url} />
      </p>
      <p>{effect}</p>
    </ActDialog>
  )
}

const CHECKS = {
  check: {
    title: 'Check the endpoint',
    act: 'Check',
    effect:
      'Its receiver is asked with valid and with forged requests, to find out whether it verifies signatures and answers in time. It takes up to 2 minutes.',
  },
  ping: { title: 'Ping the endpoint', act: 'Ping', effect: 'One signed test event is sent to it.' },
} as const

interface CheckDialogProps {
  readonly endpoint: EndpointAnswer
  readonly kind: CheckBody['kind']
  readonly close: () => void
}

function CheckDialog({ endpoint: { id, url }, kind, close }: CheckDialogProps) {
  const { title, act, effect } = CHECKS[kind]
  const submit = async (reason: string) => {
    const body: CheckBody = { kind, reason }
    const check = await post<CheckAnswer>(`/api/webhooks/endpoints/${id}/check`, body)
    // It stands in the address, so that its report can be passed on.
    setQuery({ check: check.id })
    return 'It has begun. Its report appears below when it is finished.'
  }
  return (
    <ActDialog title={title} act={act} submit={submit} close={close}>
      <p>
        <Chosen text={url} />
      </p>
      <p>{effect}</p>
    </ActDialog>
  )
}
