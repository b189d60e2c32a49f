using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads ServerPolicy: what a port takes, how it is read, and who may call where no Allow rule says it.</summary>
internal static class ServerPolicyReader
{
    public static readonly PolicyKind Kind = new("ServerPolicy", PolicyKind.Workloads, Read) { Closes = true };

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        if (spec.Find("mtls") is not null && spec.Word("mtls", null, Enum.GetNames<MtlsMode>()) is { } mtls)
        {
            fields.Add(spec, "mtls", ServerSettings.Mtls, Enum.Parse<MtlsMode>(mtls));
        }

        if (spec.Find("protocol") is not null && spec.Word("protocol", null, Enum.GetNames<ServerProtocol>()) is { } protocol)
        {
            fields.Add(spec, "protocol", ServerSettings.Protocol, Enum.Parse<ServerProtocol>(protocol));
        }

        if (spec.Find("access") is not null && spec.Word("access", null, [.. AccessModes.Words]) is { } word && AccessModes.TryParse(word, out var access))
        {
            fields.Add(spec, "access", ServerSettings.Access, access);
        }
    }
}
