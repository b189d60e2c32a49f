using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads TimeoutPolicy: how long a call, an attempt, an answer's headers, a silence and a connection may take.</summary>
internal static class TimeoutPolicyReader
{
    private const string None = "none";

    public static readonly PolicyKind Kind = new("TimeoutPolicy", [.. PolicyKind.Services, .. PolicyKind.Routes], Read);

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        var request = fields.Time(spec, "request", TimeoutSettings.Request, None);
        var attempt = fields.Time(spec, "attempt", TimeoutSettings.Attempt, None);
        var headers = fields.Time(spec, "responseHeaders", TimeoutSettings.ResponseHeaders, None);
        fields.Time(spec, "idle", TimeoutSettings.Idle, None);
        fields.OnlyForServices(spec, "connect");
        fields.Time(spec, "connect", TimeoutSettings.Connect);
        PolicyFields.NotLonger(spec, "attempt", attempt, "request", request);
        PolicyFields.NotLonger(spec, "responseHeaders", headers, "request", request);
    }
}
