using Google.Protobuf;
using Mesh.Config;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Xds;

/// <summary>Decodes what is about to be sent as a client would: a NACK is found at home (conventions §4).</summary>
internal sealed class OutgoingCheck(Func<string, ByteString, DecodeResult> decode)
{
    /// <summary>Null when clients will take it; else every problem in one text.</summary>
    public string? Problem(string typeUrl, string name, ByteString value)
    {
        var result = decode(typeUrl, value);
        if (!result.IsValid)
        {
            return string.Join("; ", result.Errors.Select(Text));
        }

        return result.Name == name ? null : $"the resource is named '{result.Name}', asked for was '{name}'";
    }

    private static string Text(ConfigError error) => error.ToString();
}
