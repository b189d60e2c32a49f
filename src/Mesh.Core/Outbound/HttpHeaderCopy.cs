using System.Net.Http.Headers;

namespace Mesh.Outbound;

/// <summary>Copies headers as they came, without parsing them.</summary>
internal static class HttpHeaderCopy
{
    public static void Copy(HttpContentHeaders from, HttpContentHeaders to)
    {
        foreach (var header in from.NonValidated)
        {
            if (header.Value.Count == 1)
            {
                to.TryAddWithoutValidation(header.Key, header.Value.ToString());
            }
            else
            {
                to.TryAddWithoutValidation(header.Key, header.Value);
            }
        }
    }
}
