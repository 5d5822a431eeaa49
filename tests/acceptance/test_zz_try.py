import asyncio, json, os, time
from tests.acceptance.conftest import running, settings_for
async def test_try(service):
    async def ask(method, path, **more):
        async with service.request(method, path, key="admin", **more) as r:
            t = await r.text()
            print(method, path, r.status, t[:1500])
            return r.status, t
    now=int(time.time())
    lines=[]
    for h in range(0,4):
        for m in range(0,60,15):
            t=now-4*3600+h*3600+m*60
            lines.append(f"project_vcpu_usage,project_name=alpha,project_id=a/1,location_id=site1,domain_name=d value={h*8+m/10} {t}")
            lines.append(f"openstack_nova_server_status,project_name=alpha,tenant_id=a/1,location_id=site1,id=s1,flavor_id=m1.large,status=ACTIVE value=0 {t}")
    await ask("POST","/write?precision=s&db=x",data="\n".join(lines))
    await asyncio.sleep(2)
    await ask("GET","/api/v1/projects")
    await ask("GET","/api/v1/projects/a%2F1")
    await ask("POST","/api/v1/projects/alpha/grants",json={"amount":"100","reason":"hi","idempotency_key":"k"})
    await ask("POST","/api/v1/projects/alpha/grants",json={"amount":"100","reason":"hi","idempotency_key":"k"})
    await ask("POST","/api/v1/projects/alpha/grants",json={"amount":"101","reason":"hi","idempotency_key":"k"})
    await ask("POST","/api/v1/projects/alpha/grants",json={"amount":1.5,"reason":"hi","idempotency_key":"k"})
    await ask("GET","/credits_history/alpha?limit=3")
    await ask("GET","/credits_history/alpha?start_date=x")
    await ask("GET","/api/v1/projects/alpha/usage?limit=2")
    await ask("GET","/api/v1/projects/alpha/entries?limit=2")
    await ask("GET","/api/v1/projects/alpha/grants")
    await ask("GET","/api/v1/projects/alpha/notices")
    await ask("GET","/api/v1/meters")
    await ask("GET","/api/v1/prices?meter=project_vcpu_usage")
    await ask("GET","/cost_per_hour?flavor=m1.large&count=2")
    await ask("POST","/cost_per_hour",json={"flavors":{"m1.large":2},"meters":{"project_vcpu_usage":16}})
    await ask("POST","/cost_per_hour",json={"project_vcpu_usage":16,"ram":"1.5"})
    await ask("POST","/cost_per_hour",json={"nope":16})
    await ask("POST","/cost_per_hour",json={"project_vcpu_usage":True})
    await ask("POST","/cost_per_hour",json=[])
    await ask("POST","/cost_per_hour",data="{")
    await ask("GET","/api/credits_history/alpha")
    await ask("GET","/api/current_credits/alpha")
    await ask("GET","/api/metrics")
    await ask("POST","/api/costs_per_hour",json={"cpu":16,"ram":64})
    await ask("POST","/api/v1/prices",json={"meter":"project_vcpu_usage","credits_per_unit":"2","valid_from":"1970-01-01","preview":True})
    await ask("POST","/api/v1/prices",json={"meter":"project_vcpu_usage","credits_per_unit":"none"})
    await ask("POST","/api/v1/keys",json={"name":"x","scopes":["read"],"projects":["alpha"]})
    await ask("GET","/api/v1/keys")
    await ask("PUT","/api/v1/projects/alpha/owners",json={"owners":[{"email":"a@B.de","name":"Ä"}]})
    await ask("GET","/api/doc")
    await ask("GET","/openapi.json")
