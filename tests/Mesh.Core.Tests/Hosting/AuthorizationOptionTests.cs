using Microsoft.Extensions.Configuration;
using Xunit;

namespace Mesh.Hosting;

public sealed class AuthorizationOptionTests
{
    [Theory]
    [InlineData(null, UnlistedAccess.Allow)]
    [InlineData("allow", UnlistedAccess.Allow)]
    [InlineData("allow-authenticated", UnlistedAccess.AllowAuthenticated)]
    [InlineData(" AllowAuthenticated ", UnlistedAccess.AllowAuthenticated)]
    [InlineData("Deny", UnlistedAccess.Deny)]
    public void UnlistedAccess_Configuration_IsRead(string? value, UnlistedAccess expected) => Assert.Equal(expected, Read("UnlistedAccess", value).Server.UnlistedAccess);

    [Theory]
    [InlineData("everybody")]
    [InlineData("7")]
    [InlineData("allow,deny")]
    public void UnlistedAccess_Unknown_IsRefused(string value) => Assert.Equal(
        [$"Mesh:Server:UnlistedAccess is '{value}'. Use allow, allow-authenticated or deny."], Assert.Throws<MeshConfigurationException>(() => Read("UnlistedAccess", value)).Problems);

    [Fact]
    public void ExplainDenials_Configuration_IsRead()
    {
        Assert.False(Read("ExplainDenials", null).Server.ExplainDenials);
        Assert.True(Read("ExplainDenials", "true").Server.ExplainDenials);
        Assert.Equal(["Mesh:Server:ExplainDenials is 'yes'. Use true or false."], Assert.Throws<MeshConfigurationException>(() => Read("ExplainDenials", "yes")).Problems);
    }

    private static MeshOptions Read(string key, string? value)
    {
        var options = new MeshOptions();
        new MeshOptionsSetup(new ConfigurationBuilder().AddInMemoryCollection([new($"Mesh:Server:{key}", value)]).Build()).Configure(options);
        return options;
    }
}
