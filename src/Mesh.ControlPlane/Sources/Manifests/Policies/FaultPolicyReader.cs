using System.Globalization;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads FaultPolicy: calls delayed or refused on purpose.</summary>
/// <remarks>A fault that is forgotten is an outage that nobody looks for: one without end must be asked for in so many words.</remarks>
internal static class FaultPolicyReader
{
    private const string Never = "Never";
    private const string ExpiresAtRule = "Give the moment at which the fault ends (RFC 3339, such as 2030-01-31T12:00:00Z), or Never if it is to stay.";

    public static readonly PolicyKind Kind = new("FaultPolicy", [PolicyTargetKind.Service, .. PolicyKind.Routes], Read);

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        var headerDriven = spec.Flag("headerDriven") ?? false;
        var delay = spec.Map("delay");
        var fixedDelay = delay is null ? null : PolicyFields.Length(delay, "fixed");
        var delayPercent = delay?.Integer("percent", 0, 100) ?? 100;
        delay?.Close();
        var abort = spec.Map("abort");
        var http = abort?.Integer("httpStatus", 200, 599);
        var grpc = abort?.Integer("grpcStatus", 1, 16);
        var abortPercent = abort?.Integer("percent", 0, 100) ?? 100;
        abort?.Close();
        var headers = RouteFields.NameValues(spec, "headers", lowerCase: true);
        fields.ExpiresAt = ReadExpiry(spec);
        if (spec.Problems.Refused)
        {
            return;
        }

        if (headerDriven && (fixedDelay ?? TimeSpan.Zero) > TimeSpan.Zero)
        {
            delay!.Bad("fixed", delay.Text("fixed")!, "With headerDriven: true the request's header tells the delay. Remove one of the two.");
        }
        else if (headerDriven && (http ?? grpc) is not null)
        {
            abort!.Problems.Refuse(abort.Node, "spec.abort has a status, and with headerDriven: true the request's header tells it. Remove one of the two.");
        }
        else if (http is not null && grpc is not null)
        {
            abort!.Problems.Refuse(abort.Node, "spec.abort has httpStatus and grpcStatus. Keep one: HTTP callers of a gRPC status see its HTTP form and the reverse.");
        }
        else if (!headerDriven && fixedDelay is null && http is null && grpc is null)
        {
            spec.Problems.Refuse(spec.Node, "spec has no fault. Add delay.fixed, abort.httpStatus, abort.grpcStatus or headerDriven: true.");
        }
        else
        {
            fields.Add(spec, delay is not null ? "delay" : abort is not null ? "abort" : "headerDriven", FaultSettings.Fault, new Fault(
                fixedDelay ?? TimeSpan.Zero, delayPercent, http ?? 0, grpc ?? 0, abortPercent, headerDriven, headers, fields.ExpiresAt));
        }
    }

    private static DateTimeOffset? ReadExpiry(YamlMap spec)
    {
        if (spec.Find("expiresAt") is null)
        {
            spec.Missing("expiresAt", ExpiresAtRule);
            return null;
        }

        if (spec.Text("expiresAt") is not { } text || text == Never)
        {
            return null;
        }

        // RFC 3339 has a full date, a time and an offset.
        string[] formats = ["yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];
        if (text.Length > 19 && DateTimeOffset.TryParseExact(text.ToUpperInvariant(), formats, CultureInfo.InvariantCulture, DateTimeStyles.None, out var moment))
        {
            return moment;
        }

        spec.Bad("expiresAt", text, ExpiresAtRule);
        return null;
    }
}
