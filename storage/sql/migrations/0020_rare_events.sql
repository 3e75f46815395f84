-- Of what is rare a listing looks at itself alone, not at all that is kept: critical events, and all types but those that come with every
-- object. Most events are in neither index, so a commit pays next to nothing. A statement names the condition as it stands here
-- (`storage.events.pages`): plans are generic, so a parameter would not do.
CREATE INDEX events_critical ON events (site, received) WHERE severity = 'critical';
CREATE INDEX events_of_rare_types ON events (site, received) WHERE type NOT IN (
    'track.started', 'track.ended', 'track.stopped', 'track.moved', 'zone.entered', 'zone.exited', 'line.crossed'
);
