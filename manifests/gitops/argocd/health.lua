-- Health of a QuantizedModel for Argo CD: what kstatus says, and Suspended where people stopped it.
local health = {status = "Progressing", message = "waits for the operator"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local function is(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end
local rollout = obj.spec.rollout or {}
if is("Stalled") then
  return {status = "Degraded", message = conditions.Stalled.reason .. ": " .. (conditions.Stalled.message or "")}
end
if is("Ready") then
  return {status = "Healthy", message = conditions.Ready.message or ""}
end
if obj.spec.suspend or rollout.paused then
  return {status = "Suspended", message = "paused by its spec"}
end
if conditions.Reconciling ~= nil then
  health.message = conditions.Reconciling.message or health.message
end
return health
