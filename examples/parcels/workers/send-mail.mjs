// A job of many events, which say what mail it is: see jobs/send-mail.yaml.
import { serve } from "./herald.mjs";

const texts = {
  posted: ({ parcel, from }) => `${from} sends you parcel ${parcel}.`,
  delivered: ({ parcel }) => `Parcel ${parcel} has arrived.`,
};

serve(async (event, { params, run }) => {
  const text = texts[params.template];
  // No further attempt would find it.
  if (!text) throw Object.assign(new Error(`there is no text ${params.template}`), { retry: false });
  // Here a mail would be sent, under the key `run`, so that a further attempt is no second mail.
  console.log(`${run}: ${params.to}`);
  return { message: `to ${params.to}: ${text(params.values)}` };
});
