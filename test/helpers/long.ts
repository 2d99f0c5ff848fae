/** `npm run test:long`: load and fuzz tests at full size. */
export const long = process.env.MODE === 'long'
