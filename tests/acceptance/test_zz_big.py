import time, asyncpg
from tests.acceptance.documented import documented
async def test_big(service):
    c = await documented(service)
    await c.ask("POST","/api/v1/projects",key="admin",json={"name":"big"})
    await c.ask("POST","/api/v1/projects",key="admin",json={"name":"big2"})
    conn = await asyncpg.connect(service.settings.database_url)
    await conn.execute("""
    INSERT INTO flavor(name) SELECT 'f'||i FROM generate_series(1,10) i;
    INSERT INTO entry (project_id,sequence,kind,amount,balance,meter_id,flavor_id,hour,reason,author,entry_key,booked_at,previous_hash,hash)
    SELECT p, row_number() over (partition by p order by h,f), 'usage', -1, -row_number() over (partition by p order by h,f), 1, f, date_trunc('hour',now(),'UTC') - h*interval '1 hour','','x', 'k'||p||'-'||f||'-'||h, now(), '\\x00','\\x00'
    FROM generate_series(1,2) p, generate_series(1,20000) h, (select id f from flavor where name<>'' order by id limit 10) x;
    INSERT INTO series(meter_id,project_id,resource,identity,key) SELECT 1, p, 'r'||i, '{}', decode(md5(p||'r'||i),'hex') FROM generate_series(1,2) p, generate_series(1,100) i;
    INSERT INTO usage(series_id,hour,flavor_id,kind,quantity,credits)
    SELECT s.id, date_trunc('hour',now(),'UTC') - h*interval '1 hour', (select min(id) from flavor where name<>''), 0, 1000000, 1 FROM series s, generate_series(1,720) h;
    INSERT INTO charge(project_id,hour,meter_id,flavor_id,charged,booked,differs_since,changed_at,entry_id)
    SELECT project_id,hour,meter_id,flavor_id,1,1,now(),now(),id FROM entry WHERE kind='usage';
    ANALYZE;
    """)
    for path in ("/credits_history/big","/credits_history/big?limit=50000","/credits_history/big?start_date=2020-01-01&limit=100","/api/credits_history/big","/api/current_credits/big","/api/v1/projects/big/usage","/api/v1/projects/big/entries?limit=1000","/api/v1/projects"):
        for _ in range(2):
            t=time.perf_counter(); r = await c.service.session.get(service.url+path,headers={"Authorization":"Bearer "+service.keys["read"]}); b=await r.read(); dt=time.perf_counter()-t
        print(path, r.status, len(b), round(dt,3))
