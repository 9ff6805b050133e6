"""Reads requests to an OpenTelemetry collector, one in hexadecimal digits on each line, with the messages
that the OpenTelemetry project publishes, and writes their spans as JSON."""
import json
import sys

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def plain(attributes):
    values = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        assert kind and attribute.key not in values, attribute
        values[attribute.key] = getattr(attribute.value, kind)
    return values


spans = []
for line in sys.stdin:
    request = ExportTraceServiceRequest.FromString(bytes.fromhex(line.strip()))
    # What the messages do not know would be kept, and shown by nobody.
    assert request.SerializeToString(deterministic=True) == bytes.fromhex(line.strip()), "canonical"
    assert MessageToDict(request)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                spans.append({
                    "resource": plain(resource.resource.attributes),
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": Span.SpanKind.Name(span.kind),
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "status": Status.StatusCode.Name(span.status.code),
                    "flags": span.flags,
                    "attributes": plain(span.attributes),
                })
json.dump(spans, sys.stdout)
