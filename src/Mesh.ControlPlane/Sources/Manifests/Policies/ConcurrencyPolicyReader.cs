using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads ConcurrencyPolicy: how much is under way at once, at each caller and at each server.</summary>
internal static class ConcurrencyPolicyReader
{
    private const int Most = 1_000_000;

    public static readonly PolicyKind Kind = new("ConcurrencyPolicy", PolicyKind.Services, Read);

    private static void Read(PolicyFields fields)
    {
        if (fields.Spec.Map("client") is { } client)
        {
            fields.Integer(client, "maxRequests", LimitSettings.MaxRequests, 1, Most);
            fields.Integer(client, "maxPending", LimitSettings.MaxPending, 1, Most);
            fields.Integer(client, "maxConnections", LimitSettings.MaxConnections, 1, Most);
            client.Close();
        }

        if (fields.Spec.Map("server") is { } server)
        {
            fields.Integer(server, "maxRequests", LimitSettings.ServerMaxRequests, 1, Most);
            fields.Integer(server, "maxQueue", LimitSettings.ServerMaxQueue, 0, Most);
            var wait = fields.Time(server, "queueTimeout", LimitSettings.ServerQueueTimeout);
            PolicyFields.NotLonger(server, "queueTimeout", wait, "10 minutes, after which nobody waits", TimeSpan.FromMinutes(10));
            server.Close();
        }
    }
}
