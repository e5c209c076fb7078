import { useSignal } from '@preact/signals'
import type { KeyAnswer, KeysAnswer, NewKeyAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { Fact } from '../parts/fact.tsx'
import { Link } from '../parts/link.tsx'
import { Empty, Loaded } from '../parts/states.tsx'
import { Chosen, Copy } from '../parts/text.tsx'
import { At } from '../parts/time.tsx'
import { usePolled } from '../polled.ts'
import { mayOperate } from '../session.ts'
import { NewKeyDialog, RevokeDialog, RotateDialog } from './key-dialogs.tsx'
import { KeysTable } from './keys-table.tsx'
import { NoPepper } from './no-pepper.tsx'
import { SecretDialog } from './secret.tsx'

export function MerchantView({ id }: { readonly id: string }) {
  const polled = usePolled<KeysAnswer>(`/api/merchants/${encodeURIComponent(id)}/keys`)
  return (
    <>
      <p class="up">
        <Link href="/merchants">Merchants</Link>
      </p>
      {polled.data === undefined && <h1>Merchant</h1>}
      <Loaded polled={polled}>{(answer) => <Merchant answer={answer} again={polled.again} />}</Loaded>
    </>
  )
}

interface MerchantProps {
  readonly answer: KeysAnswer
  readonly again: () => void
}

type Open =
  | { readonly act: 'new' }
  | { readonly act: 'rotate' | 'revoke'; readonly key: KeyAnswer }
  | { readonly act: 'secret'; readonly made: NewKeyAnswer }

function Merchant({ answer, again }: MerchantProps) {
  const { merchant, keys, can_make_keys } = answer
  // The secret of a new key is here while its dialog is open, and nowhere else.
  const opened = useSignal<Open | null>(null)
  const close = () => {
    opened.value = null
    again()
  }
  const closeMade = (made: NewKeyAnswer | null) => {
    close()
    if (made) opened.value = { act: 'secret', made }
  }
  const open = opened.value
  return (
    <>
      <div class="title">
        <h1>
          <Chosen text={merchant.name} />
        </h1>
        {mayOperate() && can_make_keys && (
          <div class="acts">
            <button
              type="button"
              onClick={() => {
                opened.value = { act: 'new' }
              }}
            >
              New key…
            </button>
          </div>
        )}
      </div>
      <MerchantFacts merchant={merchant} />
      <div class="section-head">
        <h2>Keys</h2>
      </div>
      {!can_make_keys && <NoPepper />}
      {keys.length === 0 ? (
        <Empty title="No keys yet">The merchant needs a key to use the API.</Empty>
      ) : (
        <KeysTable
          keys={keys}
          canRotate={can_make_keys}
          act={(act, key) => {
            opened.value = { act, key }
          }}
        />
      )}
      {open?.act === 'new' && <NewKeyDialog merchant={merchant} close={closeMade} />}
      {open?.act === 'rotate' && <RotateDialog old={open.key} close={closeMade} />}
      {open?.act === 'revoke' && <RevokeDialog old={open.key} close={close} />}
      {open?.act === 'secret' && <SecretDialog made={open.made} close={close} />}
    </>
  )
}

function MerchantFacts({ merchant: { id, created_at } }: { readonly merchant: KeysAnswer['merchant'] }) {
  return (
    <section class="card" aria-label="Facts">
      <dl class="facts wide-facts">
        <Fact name="Id">
          <code>{id}</code> <Copy text={id} what="id" />
        </Fact>
        <Fact name="Created">
          <At at={created_at} />
        </Fact>
        <Fact name="See">
          <Link href={pathOf('/payments', { merchant: id })}>Payments</Link>
          {', '}
          <Link href={pathOf('/webhooks', { merchant: id })}>Webhook endpoints</Link>
          {', '}
          <Link href={pathOf('/audit', { target: id })}>Audit log</Link>
        </Fact>
      </dl>
    </section>
  )
}
