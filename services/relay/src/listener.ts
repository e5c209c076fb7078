import { createListener, type Listener, type ListenerOptions } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'

interface RelayListenerOptions extends Pick<ListenerOptions, 'db' | 'logger'> {
  onNotify: () => void
  /** Called when the session is lost. The next one may reach another server, for which remembered ids do not hold. */
  onLost: () => void
}

/** LISTENs for notifications of committed messages. Without them, polling finds the messages. */
export function createRelayListener({ onNotify, onLost, ...options }: RelayListenerOptions): Listener {
  return createListener({
    ...options,
    service: 'relay',
    channel: OUTBOX_CHANNEL,
    onNotify,
    onListen: onNotify, // For messages that were committed before LISTEN took effect.
    onLost,
    otherwise: 'new messages are found 200 ms later',
  })
}
