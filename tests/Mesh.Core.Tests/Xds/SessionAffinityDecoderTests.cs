using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Type;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.Xds;

[Trait("gRFC", "A55")]
public sealed class SessionAffinityDecoderTests
{
    [Fact]
    public void Cookie_Full_IsRead()
    {
        var session = Session(new Cookie { Name = "sid", Path = "/shop", Ttl = Duration.FromTimeSpan(TimeSpan.FromMinutes(2)) });
        session.Strict = true;
        Assert.Equal(new SessionAffinity(SessionCarrier.Cookie, "sid", true) { Path = "/shop", Ttl = TimeSpan.FromMinutes(2) }, Decode(session));
        Assert.Equal(new SessionAffinity(SessionCarrier.Cookie, "sid", false), Decode(Session(new Cookie { Name = "sid" })));
    }

    [Fact]
    public void Header_Named_IsRead() => Assert.Equal(new SessionAffinity(SessionCarrier.Header, "x-session", false), Decode(State(new HeaderBasedSessionState { Name = "x-session" })));

    [Fact]
    public void State_Absent_OnlyHoldsThePlaceForOverrides() => Assert.True(Decode(new StatefulSession())!.IsNone);

    [Theory]
    [InlineData("", "/", 0, "f.session_state.typed_config.cookie.name")]
    [InlineData("a b", "/", 0, "f.session_state.typed_config.cookie.name")]
    [InlineData("a", "shop", 0, "f.session_state.typed_config.cookie.path")]
    [InlineData("a", "/;Domain=x", 0, "f.session_state.typed_config.cookie.path")]
    [InlineData("a", "/", -1, "f.session_state.typed_config.cookie.ttl")]
    public void Cookie_Wrong_IsRefused(string name, string path, long ttl, string expected)
    {
        var errors = new DecodeErrors();
        SessionAffinityDecoder.Decode(Session(new Cookie { Name = name, Path = path, Ttl = new Duration { Seconds = ttl } }), "f", errors);
        Assert.Equal(expected, Assert.Single(errors.All).Path);
    }

    [Fact]
    public void State_Wrong_IsRefused()
    {
        Refused(State(new CookieBasedSessionState()), "f.session_state.typed_config.cookie");
        Refused(State(new HeaderBasedSessionState()), "f.session_state.typed_config.name");
        Refused(State(new Router()), "f.session_state.typed_config");
        Refused(new StatefulSession { SessionState = new() }, "f.session_state.typed_config");

        static void Refused(StatefulSession session, string path)
        {
            var errors = new DecodeErrors();
            SessionAffinityDecoder.Decode(session, "f", errors);
            Assert.Equal(path, Assert.Single(errors.All).Path);
        }
    }

    [Fact]
    public void Filter_InAListenerAndARoute_OverridesAsAWhole()
    {
        var errors = new DecodeErrors();
        var filters = HttpFilterDecoder.Overrides(
            new() { ["s"] = Any.Pack(new StatefulSessionPerRoute { StatefulSession = Session(new Cookie { Name = "other" }) }), ["off"] = Any.Pack(new StatefulSessionPerRoute { Disabled = true }) }, "r", errors);
        Assert.Empty(errors.All);
        Assert.Equal(new SessionAffinity(SessionCarrier.Cookie, "other", false), filters.ByName["s"]);
        Assert.Null(filters.ByName["off"]);

        HttpFilterDecoder.Overrides(new() { ["s"] = Any.Pack(new StatefulSessionPerRoute()), ["t"] = Any.Pack(new StatefulSessionPerRoute { Disabled = false }) }, "r", errors);
        Assert.Equal(["r.typed_per_filter_config[\"s\"]", "r.typed_per_filter_config[\"t\"]"], errors.All.Select(e => e.Path).Order());
    }

    private static SessionAffinity? Decode(StatefulSession session)
    {
        var errors = new DecodeErrors();
        var decoded = SessionAffinityDecoder.Decode(session, "f", errors);
        Assert.Empty(errors.All);
        return decoded;
    }

    private static StatefulSession Session(Cookie cookie) => State(new CookieBasedSessionState { Cookie = cookie });

    private static StatefulSession State(IMessage state) => new() { SessionState = new TypedExtensionConfig { TypedConfig = Any.Pack(state) } };
}
