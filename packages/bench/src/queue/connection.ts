import { type Channel, type ChannelModel, connect } from 'amqplib'

/**
 * Opens a connection to RabbitMQ. The end of it, or of a channel, rejects what waits for an answer and all that is
 * asked later. The error event says nothing more, and without a listener it would end the process.
 */
export async function openConnection(url: string): Promise<ChannelModel> {
  const connection = await connect(url, { noDelay: true })
  connection.on('error', () => {})
  return connection
}

/** Adds such a listener to a channel. */
export function heard<Kind extends Channel>(channel: Kind): Kind {
  channel.on('error', () => {})
  return channel
}
