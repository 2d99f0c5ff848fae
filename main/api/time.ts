let anchor = 0

/** Milliseconds since 1970 with a fraction; never runs backwards within a reply, follows the clock when it is set. */
function preciseNow(): number {
  const now = anchor + performance.now()
  const wall = Date.now()
  if (Math.abs(now - wall) < 50) return now
  anchor = wall - performance.now()
  return wall
}

/** The present in UTC with nine digits after the point, as Go writes it. */
export function timestamp(ms = preciseNow()): string {
  const whole = Math.floor(ms)
  const fraction = Math.floor((ms - whole) * 1e6)
  return `${new Date(whole).toISOString().slice(0, -1)}${String(fraction).padStart(6, '0')}Z`
}

/** A time of the past or future with the zone of this machine; "for ever" is a date that every client can read. */
export function localTime(date: Date): string {
  const offset = -date.getTimezoneOffset()
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1)
  if (offset === 0) return `${local}Z`
  const part = (minutes: number) => String(minutes).padStart(2, '0')
  return `${local}${offset < 0 ? '-' : '+'}${part(Math.floor(Math.abs(offset) / 60))}:${part(Math.abs(offset) % 60)}`
}

/** Whole nanoseconds, the unit of durations on the native wire. */
export function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6)
}
