-- wrk's script: POST the body that BODY holds; with NEW_HEADS, under a head that was never sent before.
wrk.method = "POST"
wrk.body = os.getenv("BODY")
wrk.headers["Content-Type"] = "application/json"

if os.getenv("NEW_HEADS") then
  local sent = 0
  request = function()
    sent = sent + 1
    wrk.headers["X-Request"] = sent
    return wrk.format()
  end
end
