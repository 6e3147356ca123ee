"""The words of the warehouse: what goes wrong, how badly, and what to do about it.

Every incident is recombined from these banks. A cause or a severity is told by a pair of fragments, so ten and ten
make a hundred phrases; one pair in ten is kept from training (see incidents.py).
"""

# cause: (what it happened to, what happened)
CAUSES = {
    "brake wear": (
        ["the service brake", "the foot brake", "the brake of the truck", "the front brake", "the parking brake",
         "the brake on the reach truck", "the left brake", "the brake of the tugger", "the rear brake",
         "the hand brake"],
        ["took twice the usual distance to stop", "did not hold on the ramp", "let the truck roll past the stop line",
         "squealed and then slipped", "had pads worn to the metal", "faded after the third stop",
         "gave almost no grip", "had lining as thin as paper", "pulled to one side and slid",
         "needed the whole lane to stop"]),
    "battery failure": (
        ["the traction battery", "the drive battery", "the battery pack", "the lithium battery", "the spare battery",
         "the battery of the truck", "the battery module", "the charged battery", "the lead battery",
         "the battery on the lift"],
        ["swelled during charging", "lost all power under load", "dropped from full to empty within minutes",
         "gave off heat and a sharp smell", "would not take a charge", "had two dead cells",
         "cut out in the middle of a lift", "smoked at the charger", "tripped its own fuse",
         "leaked acid on the charger"]),
    "belt jam": (
        ["the conveyor belt", "the sorter belt", "the main belt", "the infeed belt", "the return belt",
         "the outfeed conveyor", "the belt of the line", "the incline belt", "the parcel belt", "the roller conveyor"],
        ["jammed on a crushed carton", "stopped with strapping wound round the drum", "ran off its track and stuck",
         "locked when a loose strap went under it", "bunched up at the transfer plate",
         "stalled with parcels piled three high", "was blocked by a torn bag", "seized behind the merge",
         "caught a box flap and halted", "was pinned by a fallen tote"]),
    "sensor drift": (
        ["the light curtain", "the distance sensor", "the height sensor", "the weight sensor", "the photo eye",
         "the zone scanner", "the laser sensor", "the position sensor", "the proximity sensor", "the gate sensor"],
        ["read two centimetres too far", "had moved out of its calibration", "reported a clear path that was not clear",
         "was off by a tenth of its range", "no longer agreed with the test block", "gave a reading that crept upward",
         "was pointing past its reflector", "saw objects that were not there", "missed every second carton",
         "had drifted since the last calibration"]),
    "pallet overload": (
        ["the pallet", "the double pallet", "the top pallet", "the mixed pallet", "the half pallet",
         "the export pallet", "the wooden pallet", "the stacked pallet", "the pallet of tins", "the pallet of tiles"],
        ["carried far more than its rated load", "was loaded to twice its limit", "bent in the middle under its weight",
         "was packed above the permitted height", "weighed a ton more than its label said",
         "broke a board because it was too heavy", "was stacked beyond the allowed layers",
         "collapsed under too many cartons", "was over the weight limit of the lift", "sagged with the excess load"]),
    "rack damage": (
        ["the rack upright", "the rack beam", "the storage rack", "the shelf post", "the rack leg", "the pallet rack",
         "the lower beam", "the rack brace", "the shelf frame", "the end frame of the rack"],
        ["was bent after an old impact", "had a cracked weld", "had lost its locking pin", "was twisted out of line",
         "showed a deep dent at knee height", "hung loose from its connector", "was torn from its floor bolts",
         "had a buckled flange", "leaned toward the lane", "gave way at a rusted joint"]),
    "wet floor": (
        ["the floor", "the concrete floor", "the painted floor", "the walkway floor", "the floor by the door",
         "the floor under the roof light", "the ramp floor", "the floor near the washer", "the loading floor",
         "the tiled floor"],
        ["was wet from rain blown in", "was slick with spilled water", "had a puddle under a dripping pipe",
         "had been mopped and not dried", "was slippery with melted ice", "was covered by water from a burst hose",
         "had standing water from a roof leak", "was damp with condensation", "had soap water left on it",
         "was wet and had no warning sign"]),
    "blocked aisle": (
        ["the aisle", "the escape route", "the main walkway", "the cross aisle", "the fire exit", "the emergency door",
         "the picking aisle", "the side passage", "the marked walkway", "the exit lane"],
        ["was blocked by empty cages", "was full of parked trolleys", "was closed off with waste cartons",
         "had goods left across it", "was narrowed by unsorted returns", "was obstructed by a parked truck",
         "had no free way through", "was used as extra storage", "was shut by stacked crates",
         "was cluttered with packing waste"]),
    "hydraulic leak": (
        ["the lift cylinder", "the hydraulic hose", "the mast cylinder", "the tilt cylinder", "the hydraulic pump",
         "the dock leveller", "the scissor lift", "the hydraulic line", "the lift table", "the tail lift"],
        ["lost oil at the seal", "sprayed oil when it was raised", "sank slowly because oil was escaping",
         "left a trail of oil", "burst and emptied its oil", "dripped oil from a worn fitting",
         "dropped as the oil pressure fell", "was short of oil after a leak", "had a hose rubbed through",
         "wept oil along the whole rod"]),
    "label error": (
        ["the shipping label", "the pallet label", "the barcode label", "the address label", "the hazard label",
         "the carton label", "the shelf label", "the printed label", "the export label", "the return label"],
        ["named the wrong customer", "was printed with an old address", "was swapped with the next order",
         "carried the code of another product", "was stuck over a valid one", "was missing its batch number",
         "was too faint to read", "was printed twice for one order", "showed the wrong hazard class",
         "did not match the goods inside"]),
    "scanner outage": (
        ["the hand scanner", "the wireless terminal", "the stock system", "the scanner network", "the picking terminal",
         "the gate reader", "the order server", "the mobile scanner", "the access point", "the warehouse software"],
        ["lost its connection to the server", "froze on the login screen", "went offline for the whole zone",
         "restarted in the middle of a count", "sent no data to the database", "showed a timeout on every scan",
         "crashed after the update", "dropped all open orders", "could not reach the network",
         "rejected every password"]),
    "cooling failure": (
        ["the cold store", "the freezer", "the chiller", "the cooling unit", "the compressor", "the evaporator fan",
         "the refrigerated container", "the cooling circuit", "the freezer door heater", "the reefer plug"],
        ["warmed by nine degrees", "stopped cooling overnight", "could not hold its temperature",
         "iced up and stopped", "ran warm with the alarm muted", "lost its refrigerant", "was found thawing",
         "rose above the allowed temperature", "switched off after a defrost", "blew warm air on the goods"]),
}

# severity: (what it did to people, what it did to the work)
SEVERITIES = {
    "low": (
        ["nobody was hurt", "no one was injured", "no person was nearby", "everyone stayed unharmed",
         "there were no injuries", "not a single worker was affected", "no harm came to anyone", "all staff were safe",
         "people kept a safe distance", "no first aid was needed"],
        ["work went on after a few minutes", "no goods were lost", "the delay was hardly noticed",
         "all orders left on time", "the round was finished as planned", "only a cosmetic mark remained",
         "the cost is close to nothing", "normal pace was back at once", "nothing had to be written off",
         "the target of the day was met"]),
    "medium": (
        ["one picker had a bruised hand", "a loader had a mild sprain", "a packer got a small cut",
         "first aid was given on site", "one worker felt dizzy for a while", "a driver had a sore back",
         "a cleaner scraped a knee", "one person rested in the aid room", "a clerk had a light bump",
         "a temp needed a bandage"],
        ["the line stood for half an hour", "some orders left an hour late", "a few cartons were written off",
         "two shipments missed their slot", "the crew had to work around it", "one customer was told of a delay",
         "part of the load had to be repacked", "output fell by a tenth", "a spare unit was brought in",
         "overtime was needed to catch up"]),
    "high": (
        ["a driver was taken to hospital", "a worker broke an arm", "an ambulance was called for one man",
         "a picker was knocked unconscious", "a fitter needed surgery", "one woman has a fractured leg",
         "a loader was crushed against a wall", "a worker was badly burned", "an apprentice lost a finger",
         "a porter was carried out with a head injury"],
        ["the hall was shut for the rest of the shift", "a full truck load was destroyed",
         "the zone stayed closed until morning", "production at two customers stopped", "the insurer was informed",
         "repairs will take more than a week", "the whole day of orders was lost", "the inspector sealed the machine",
         "damage is far above the budget", "every delivery of the day was cancelled"]),
    "critical": (
        ["two workers are in intensive care", "several people were trapped", "one person died at the scene",
         "many workers breathed toxic fumes", "five people were rescued by crane", "a colleague is fighting for life",
         "a dozen people needed oxygen", "three workers are still missing", "a fatal injury was confirmed",
         "lives were in immediate danger"],
        ["the whole site was evacuated", "fire crews took over the building", "the roof section came down",
         "police closed the harbor road", "the explosion alarm was raised", "a toxic cloud reached the street",
         "all operations are suspended", "the minister was notified", "the building may not be entered",
         "neighbours were told to stay indoors"]),
}

# What to do first, by severity; the place is copied from the report.
CONTAINMENT = {
    "low": "Log the event at {place} and keep working",
    "medium": "Fence off {place} until the next check",
    "high": "Stop all work at {place} and call the shift lead",
    "critical": "Evacuate {place} and call the emergency team",
}

# What to mend (the unit is copied from the report), then what prevents it: after a mild incident, after a grave one.
REMEDIES = {
    "brake wear": ("Replace the brake pads of {unit}", "Check brakes weekly", "Test all brakes before the next shift"),
    "battery failure": ("Swap the battery of {unit}", "Log charge cycles monthly", "Move charging outdoors behind a fire wall"),
    "belt jam": ("Clear and realign the belt of {unit}", "Trim loose straps at infeed", "Fit jam detection on every belt"),
    "sensor drift": ("Recalibrate the sensor of {unit}", "Verify sensors each month", "Add a second sensor as cross check"),
    "pallet overload": ("Unload and reweigh {unit}", "Print load limits on pallets", "Install a scale with a lockout at the gate"),
    "rack damage": ("Unload and brace rack {unit}", "Mount impact guards", "Have every rack certified by an engineer"),
    "wet floor": ("Dry and mark the floor around {unit}", "Place mats at the doors", "Repair the drains and coat the floor"),
    "blocked aisle": ("Clear the way past {unit}", "Paint keep clear zones", "Audit escape routes every shift"),
    "hydraulic leak": ("Replace hose and seals of {unit}", "Inspect hoses monthly", "Renew all hydraulic lines this month"),
    "label error": ("Reprint and check labels at {unit}", "Scan labels before loading", "Hold shipments until two people verify"),
    "scanner outage": ("Restart and patch {unit}", "Watch network uptime", "Install a backup server and network"),
    "cooling failure": ("Repair the cooling of {unit}", "Log temperatures hourly", "Add a backup chiller with remote alarm"),
}

# Sentence frames for training are put together from parts: opening, voice, the cause, closing.
CAUSE_OPENINGS = [
    "", "", "", "During the {shift} shift ", "At {time} ", "At {time} at {place} ", "Shortly after {time} ",
    "At the start of the {shift} shift ", "On the {shift} shift ", "Around {time}, in front of {place}, ",
    "Near {unit}, ", "After a check of {unit} ", "While {unit} was in use at {place}, ", "In the morning ",
    "According to the team, ", "During a round at {place} ", "After the break ", "At {place} ",
]
CAUSE_VOICES = [
    "{cause}", "{cause}", "{cause}", "it was noticed that {cause}", "the {shift} crew found that {cause}",
    "the operator of {unit} states that {cause}", "the report from {place} says that {cause}",
    "witnesses agree that {cause}", "the cause was soon found: {cause}", "it was clear that {cause}",
    "the inspection showed that {cause}", "maintenance wrote that {cause}",
    "a colleague from the {shift} shift saw that {cause}", "the first finding is that {cause}",
    "the team lead saw this: {cause}", "we noticed that {cause}", "work was stopped because {cause}",
    "{unit} was in use when {cause}", "the form states: {cause}", "this was the finding: {cause}",
    "the lead of the crew wrote that {cause}", "the check of {unit} showed one fault, {cause}",
]
CAUSE_CLOSINGS = [
    "", "", "", "", " at {place}", " near {place}", " at about {time}", " and the team stopped",
    ", which was seen at {place}", ", as the crew of {unit} reported from {place}", " in front of {place}",
    " on the {shift} shift", ", the team lead states", " close to {unit}",
]

# The same for what came of it, in either order.
SEVERITY_FRAMES = [
    "{first} and {second}.", "{first}, and {second}.", "{first}; {second}.", "{first}. {second}.", "{first}, {second}.",
    "{first}. As a result {second}.", "{first}. In the end {second}.", "{first}. We know that {second}.",
    "{first} and, so far, {second}.", "{first}. The team adds: {second}.",
]
SEVERITY_OPENINGS = [
    "", "", "", "As a result ", "The outcome: ", "We note that ", "So far we know that ", "Consequences: ",
    "The shift lead adds that ", "The team states: ", "In short, ", "It is clear that ", "The result: ",
    "Because of this, ",
]

NEUTRAL = [
    "Photos are attached to this report.", "The crew was informed at the end of the shift.",
    "The area was checked again later.", "Two colleagues saw it happen.", "The weather was dry and calm.",
    "It was a busy day with many trucks.", "The unit {unit} had been used since the morning.",
    "Lighting in the area was good.", "The team lead came to {place} within minutes.", "A camera covers the place.",
    "The last inspection was some weeks ago.", "Statements were taken from the team.",
    "The team had been briefed in the morning.", "The report was written at {time}.",
    "Contact the {shift} team for questions.", "The customer's goods were stored nearby.",
    "The form was signed by the team lead.", "A follow up meeting is planned.",
    "Traffic at {place} was normal at the time.", "The unit was parked and tagged.",
]
# More of them: a subject and what became of it.
NEUTRAL_SUBJECTS = [
    "The form", "The report", "The area", "The unit", "{unit}", "The camera", "The meeting", "The area at {place}",
    "The {shift} team", "The last report on {unit}", "The photos of {place}", "The inspection", "The shift form",
]
NEUTRAL_VERBS = [
    "was checked", "was signed", "was written at {time}", "was planned", "was informed by the team lead",
    "was tagged", "was taken to the team lead", "was normal", "was briefed", "was used in the morning", "was busy",
    "was stored at {place}", "was attached", "was calm since {time}", "was seen some weeks ago",
    "came at the end of the shift",
]

# Held-out sentences: never trained on, made of words that training sees.
HELD_OUT_CAUSE_FRAMES = [
    "The team at {place} found at {time} that {cause}.",
    "In use on the {shift} shift, {unit} was stopped: {cause}.",
    "The {shift} report states that {cause} near {place}.",
    "After the start of the shift, the operator noticed that {cause}.",
    "Around {time} the crew saw that {cause}.",
    "A check at {place} showed that {cause}.",
    "It was clear to the lead of the {shift} team that {cause}.",
    "The operator wrote at {time}: {cause}.",
]
HELD_OUT_SEVERITY_FRAMES = [
    "In the end {people}; {work}.",
    "We know that {work}, and that {people}.",
    "The shift lead adds: {people}. {work}.",
    "The result so far: {work} and {people}.",
    "Because of this {work}. As a result {people}.",
    "Outcome and consequences: {people}, {work}.",
]
HELD_OUT_NEUTRAL = [
    "A camera was checked by the team lead.",
    "The form and photos are attached.",
    "The morning was calm, with normal traffic.",
    "The {shift} team was briefed and signed the form.",
    "Questions were taken at the end of the meeting.",
    "The area at {place} was busy since the morning.",
    "The last report on {unit} was written some weeks ago.",
]

PLACES = ["Dock", "Aisle", "Bay", "Gate", "Zone", "Hall", "Ramp", "Lane", "Cold Room", "Yard", "Row", "Pier"]
UNITS = ["FL", "CV", "RT", "ST", "LT", "PK", "DK", "SR"]
SITE_FIRST = ["North", "South", "East", "West", "Old", "New", "Upper", "Lower", "Inner", "Outer", "Stone", "River"]
SITE_SECOND = ["Quay", "Harbor", "Point", "Wharf", "Basin", "Terminal", "Depot", "Landing", "Park", "Bridge"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
SHIFT_PARTS = ["early", "day", "late", "night"]
