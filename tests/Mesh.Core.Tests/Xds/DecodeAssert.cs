using Google.Protobuf;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.Xds;

/// <summary>What a decoder must say of a resource.</summary>
internal static class DecodeAssert
{
    public static T Valid<T>(IMessage resource)
    {
        var result = Decode(resource);
        Assert.Empty(result.Errors);
        return Assert.IsType<T>(result.Model);
    }

    /// <summary>Exactly these paths are complained about.</summary>
    public static void Invalid(IMessage resource, params string[] paths)
    {
        var result = Decode(resource);
        Assert.Null(result.Model);
        Assert.Equal(paths.Order(), result.Errors.Select(e => e.Path).Order());
        Assert.All(result.Errors, e => Assert.NotEmpty(e.Problem));
    }

    private static DecodeResult Decode(IMessage resource) =>
        ResourceDecoder.Decode("type.googleapis.com/" + resource.Descriptor.FullName, resource.ToByteString());
}
