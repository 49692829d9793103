// The goals of a shop: how many visitors reached each in the period.

import { answersOf, fetchGoals, fetchReport } from "./api.js";

/** Return a row per goal of the shop in the parameters, at most `limit`: its visitors, its events. */
export const goalRows = async (parametersOf, signal, limit) => {
  const { tenant } = parametersOf("summary");
  const ofShop = (await fetchGoals(signal)).filter((goal) => String(goal.tenant_id) === tenant);
  const rowOf = async ({ name }) => {
    const { rows } = await fetchReport("summary", parametersOf("summary", { goal: name }), signal);
    return { goal: name, visitors: rows[0]?.visitors ?? 0, events: rows[0]?.events ?? 0 };
  };
  return answersOf(ofShop.slice(0, limit), rowOf);
};
