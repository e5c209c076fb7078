/** A method of AMQP 0-9-1: its class id, its method id, and its arguments as bytes. */
export type Method = readonly [classId: number, methodId: number, args: Buffer]

export const bytes = (...values: number[]) => Buffer.from(values)
export const short = (value: number) => bytes(value >> 8, value & 255)
export const long = (value: number) => Buffer.concat([short(value >>> 16), short(value & 65_535)])
export const longLong = (value: number) => Buffer.concat([long(0), long(value)])
export const shortText = (text: string) => Buffer.concat([bytes(text.length), Buffer.from(text)])
export const longText = (text: string) => Buffer.concat([long(text.length), Buffer.from(text)])
export const method = (classId: number, methodId: number, ...args: Buffer[]): Method => [
  classId,
  methodId,
  Buffer.concat(args),
]

export const methodFrame = (channel: number, [classId, methodId, args]: Method) =>
  frame(1, channel, short(classId), short(methodId), args)

// Below the frame_max of every broker.
const BODY_FRAME_BYTES = 100_000

/** The frames of a message that follow its method. `properties` begin with their flags. */
export function contentFrames(channel: number, properties: Buffer, body: Buffer): Buffer {
  const frames = [frame(2, channel, short(60), short(0), longLong(body.length), properties)]
  for (let at = 0; at < body.length; at += BODY_FRAME_BYTES)
    frames.push(frame(3, channel, body.subarray(at, at + BODY_FRAME_BYTES)))
  return Buffer.concat(frames)
}

function frame(type: number, channel: number, ...parts: Buffer[]): Buffer {
  const payload = Buffer.concat(parts)
  return Buffer.concat([bytes(type), short(channel), long(payload.length), payload, bytes(0xce)])
}

/** Calls `onMethod` with each received method, as `class.method`, and its frame. A heartbeat is no method. */
export function createMethodReader(onMethod: (channel: number, method: string, frame: Buffer) => void) {
  let rest: Buffer = Buffer.alloc(0)
  return (data: Buffer) => {
    rest = Buffer.concat([rest, data])
    while (rest.length >= 7 && rest.length >= 8 + rest.readUInt32BE(3)) {
      const whole = rest.subarray(0, 8 + rest.readUInt32BE(3))
      rest = rest.subarray(whole.length)
      if (whole[0] === 1) onMethod(whole.readUInt16BE(1), `${whole.readUInt16BE(7)}.${whole.readUInt16BE(9)}`, whole)
    }
  }
}
