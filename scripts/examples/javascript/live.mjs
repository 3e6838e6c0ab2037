// Speech to words while it is spoken, with @deepgram/sdk 5 (`npm install @deepgram/sdk`).
// A WAV file of 16-bit samples plays the microphone: it is sent in pieces, as fast as it was spoken.
//
//   WHISPERAPI_KEY=... node scripts/examples/javascript/live.mjs recording.wav
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DeepgramClient } from "@deepgram/sdk";

const PIECE_S = 0.1;

const wav = readFileSync(process.argv[2]);
const { channels, sampleRate, samples } = readWav(wav);
const client = new DeepgramClient({
  apiKey: process.env.WHISPERAPI_KEY,
  baseUrl: process.env.WHISPERAPI_URL ?? "http://127.0.0.1:7860",
});
const live = await client.listen.v1.connect({
  model: "nova-3",
  encoding: "linear16",
  sample_rate: sampleRate,
  channels,
  smart_format: true,
  interim_results: true,
  endpointing: 300,
});
live.on("message", (message) => {
  if (message.type !== "Results") return;
  const { transcript } = message.channel.alternatives[0];
  if (transcript) console.log(message.is_final ? transcript : `  ... ${transcript}`);
});
live.on("error", (error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
live.connect();
try {
  await live.waitForOpen();
} catch {
  process.exit(1); // "error" has said why; the exception would print the whole request, key included
}
const pieceBytes = Math.round(PIECE_S * sampleRate) * channels * 2;
for (let start = 0; start < samples.length; start += pieceBytes) {
  live.sendMedia(samples.subarray(start, start + pieceBytes));
  await sleep(PIECE_S * 1000);
}
live.sendCloseStream({ type: "CloseStream" }); // the last words still come; then the server closes

/** The form and the samples of a WAV file: a list of chunks, each with its name and its size. */
function readWav(file) {
  const found = {};
  for (let at = 12; at + 8 <= file.length; ) {
    const name = file.toString("latin1", at, at + 4);
    const size = file.readUInt32LE(at + 4);
    if (name === "fmt ") {
      found.channels = file.readUInt16LE(at + 10);
      found.sampleRate = file.readUInt32LE(at + 12);
    }
    if (name === "data") return { ...found, samples: file.subarray(at + 8, at + 8 + size) };
    at += 8 + size + (size % 2);
  }
  throw new Error("This is no WAV file.");
}
