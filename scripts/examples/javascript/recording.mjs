// A recording to words, with @deepgram/sdk 5 (`npm install @deepgram/sdk`).
//
//   WHISPERAPI_KEY=... node scripts/examples/javascript/recording.mjs recording.m4a
import { readFileSync } from "node:fs";
import { DeepgramClient } from "@deepgram/sdk";

const client = new DeepgramClient({
  apiKey: process.env.WHISPERAPI_KEY,
  baseUrl: process.env.WHISPERAPI_URL ?? "http://127.0.0.1:7860",
});
const answer = await client.listen.v1.media.transcribeFile(readFileSync(process.argv[2]), {
  model: "nova-3",
  smart_format: true,
  utterances: true,
});
console.log(answer.results.channels[0].alternatives[0].transcript);
for (const { start, transcript } of answer.results.utterances) {
  console.log(`${start.toFixed(2).padStart(8)} s  ${transcript}`);
}
