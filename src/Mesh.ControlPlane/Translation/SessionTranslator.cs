using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Route;
using Mesh.Protos.Envoy.Type;
using Route = Mesh.Protos.Envoy.Route.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes session persistence (gRFC A55): an idle filter in the listener, its settings in the routes.</summary>
internal static class SessionTranslator
{
    public const string FilterName = "envoy.filters.http.stateful_session";

    /// <summary>What must stand in the listener for routes to have sessions.</summary>
    public static HttpFilter Filter() => new() { Name = FilterName, IsOptional = true, TypedConfig = Any.Pack(new StatefulSession()) };

    public static void Apply(Route route, SessionPersistence session)
    {
        IMessage state = session.ByHeader
            ? new HeaderBasedSessionState { Name = session.Name }
            : new CookieBasedSessionState
            {
                Cookie = new Cookie { Name = session.Name, Path = "/", Ttl = session.Lifetime is { } lifetime ? Duration.FromTimeSpan(lifetime) : null },
            };
        var kind = session.ByHeader ? "header" : "cookie";
        var config = new StatefulSessionPerRoute
        {
            StatefulSession = new StatefulSession { SessionState = new TypedExtensionConfig { Name = $"envoy.http.stateful_session.{kind}", TypedConfig = Any.Pack(state) } },
        };
        route.TypedPerFilterConfig[FilterName] = Any.Pack(new FilterConfig { Config = Any.Pack(config), IsOptional = true });
    }
}
