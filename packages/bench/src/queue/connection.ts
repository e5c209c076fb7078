import { type Channel, type ChannelModel, connect } from 'amqplib'

/**
 * Opens a connection to RabbitMQ. Its end, or that of a channel, rejects every pending and every later request. The
 * error event adds nothing, and would end the process without a listener.
 */
export async function openConnection(url: string): Promise<ChannelModel> {
  const connection = await connect(url, { noDelay: true })
  connection.on('error', () => {})
  return connection
}

/** Adds a listener for the error event to a channel. */
export function withErrorListener<Kind extends Channel>(channel: Kind): Kind {
  channel.on('error', () => {})
  return channel
}
